"""Channels: what one peer publishes goes to all that have subscribed.

:class:`Channels` adds the commands ``SUBSCRIBE``, ``UNSUBSCRIBE``, ``PUBLISH`` and ``CHANNELS``
to an application, and is for programs too::

    channels = Channels(policy="drop-oldest", publish_roles=["feed"])
    app.add(channels)
    channels.publish("weather", "rain by noon")

Subscribers read ``* MESSAGE weather rain by noon``.

A message is encoded once. What is published to a channel within one turn of the reactor is
joined once, at its end, and all subscribers that can be written to get the same bytes; for the
others it is kept, within bounds. Each subscriber gets the messages of a channel in the order in
which they were published.
"""

from collections.abc import Callable, Collection, Iterator
from functools import partial

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from netsuite.line._arguments import Rest
from netsuite.line._channels_backlog import Bounds, Policy
from netsuite.line._channels_delivery import Channel, ChannelCounters, Delivery, Subscriber
from netsuite.line._commands import names_of
from netsuite.line._errors import CommandError
from netsuite.line._replies import Replies
from netsuite.line._session import Session
from netsuite.line._wire import PUSH
from netsuite.line.app import LineApp

__all__ = ["ChannelCounters", "Channels", "Policy"]

#: Seconds that a peer that is too slow has to read the rest and why it is disconnected.
_GRACE = 10.0

_NO_NAME = ' "'  # what can be shown and is in no name


class Channels:
    """Channels, for the sessions of one application.

    A channel is there while somebody listens to it.

    :param queue: messages that may wait for one subscriber that does not read.
    :param queue_bytes: bytes of those.
    :param policy: what becomes of more: ``drop-oldest`` or ``drop-newest``, and the subscriber
        reads ``* DROPPED channel number`` where they are missing; or ``disconnect``, it reads
        ``ERR slow-consumer`` and is disconnected.
    :param max_channels: channels at a time.
    :param name_length: characters of a channel's name.
    :param message: bytes of a message.
    :param publish_roles: who may publish needs one of them; none for everybody.
    :param subscribe_roles: the same for the other commands.
    :param publish_rate: how often each client network may publish, a second; None for no limit.
    :param soon: calls at the end of the turn; by default the clock of the sessions does.
    :ivar counters: totals.
    :raises ValueError: for a bound below 1, and for messages that are longer than a queue.
    """

    def __init__(
        self,
        *,
        queue: int = 100,
        queue_bytes: int = 256 * 1024,
        policy: Policy = "drop-oldest",
        max_channels: int = 10_000,
        name_length: int = 64,
        message: int = 4096,
        publish_roles: Collection[str] = (),
        subscribe_roles: Collection[str] = (),
        publish_rate: float | None = None,
        soon: Callable[[Callable[[], object]], object] | None = None,
    ) -> None:
        bounds = {"max_channels": max_channels, "name_length": name_length, "message": message}
        for each, value in bounds.items():
            if value < 1:
                raise ValueError(f"{each} {value}: expected 1 or more")
        self._bounds = Bounds(policy, queue, queue_bytes)
        longest = len(b"* MESSAGE  \r\n") + 4 * name_length + message
        if queue_bytes < longest:
            raise ValueError(f"queue_bytes {queue_bytes}: expected {longest} or more, one message")
        self._delivery = Delivery(self._bounds, self._notice, soon or self._later, self._disconnect)
        self.counters: ChannelCounters = self._delivery.counters
        self._max_channels = max_channels
        self._name_length = name_length
        self._message = message
        self._publish_roles = names_of("publish_roles", publish_roles)
        self._subscribe_roles = names_of("subscribe_roles", subscribe_roles)
        self._publish_rate = publish_rate
        self._clock: IReactorTime
        self._replies: Replies
        self._channels: dict[str, Channel] = {}
        self._subscribers: dict[Session, Subscriber] = {}

    def __repr__(self) -> str:
        return f"<Channels: {len(self._channels)}, {len(self._subscribers)} subscribers>"

    # For programs.

    def publish(self, name: str, text: str) -> int:
        """Send a message to all subscribers of a channel, at the end of this turn.

        :param text: one line.
        :returns: how many they are.
        :raises CommandError: for a name or a text that cannot be.
        """
        channel = self._channels.get(name)
        if channel is None:
            self._check_name(name)
        body = text.encode("utf-8", "surrogateescape")
        if len(body) > self._message:
            raise CommandError("bad-argument", f"text: expected at most {self._message} bytes")
        if b"\n" in body or b"\r" in body:
            raise CommandError("bad-argument", "text: expected one line")
        self.counters.published += 1
        if channel is None:
            return 0
        head = f"{PUSH} MESSAGE {name} ".encode()
        self._delivery.publish(channel, head + body + self._replies.line_end)
        return len(channel.subscribers)

    def subscribe(self, session: Session, *names: str) -> None:
        """Have a session get what is published to channels from now on.

        :raises CommandError: for a name that cannot be, and for more than there may be; then
            nothing has changed.
        """
        subscriber = self._subscriber(session)
        if subscriber is None:
            return
        wanted = [each for each in dict.fromkeys(names) if each not in subscriber.channels]
        for each in wanted:
            self._check_name(each)
        most = session.app.limits.subscriptions
        if len(subscriber.channels) + len(wanted) > most:
            raise CommandError("too-many-subscriptions", f"expected at most {most}")
        new = sum(each not in self._channels for each in wanted)
        if len(self._channels) + new > self._max_channels:
            raise CommandError("too-many-channels", f"expected at most {self._max_channels}")
        for each in wanted:
            channel = self._channels.get(each)
            if channel is None:
                channel = self._channels[each] = Channel(each)
            channel.subscribers[subscriber] = channel.end
            subscriber.channels[each] = channel

    def unsubscribe(self, session: Session, *names: str) -> None:
        """Have a session get no more of channels.

        What was published before goes out first, if it can now; else it is thrown away.

        :param names: all that it listens to, if there are none.
        """
        subscriber = self._subscribers.get(session)
        if subscriber is None or session.ended:
            return
        for each in names or tuple(subscriber.channels):
            if each in subscriber.channels:
                self._delivery.catch_up(subscriber, subscriber.channels[each])
            if each in subscriber.channels:
                self._leave(subscriber, subscriber.channels[each])
                if subscriber.backlog is not None:
                    subscriber.backlog.forget(each)

    def subscriptions(self, session: Session) -> tuple[str, ...]:
        """The channels that a session listens to."""
        subscriber = self._subscribers.get(session)
        return () if subscriber is None else tuple(subscriber.channels)

    def subscribers(self, name: str) -> tuple[Session, ...]:
        """The sessions that listen to a channel."""
        channel = self._channels.get(name)
        return () if channel is None else tuple(each.session for each in channel.subscribers)

    def counts(self) -> dict[str, int]:
        """How many listen to each channel."""
        return {name: len(each.subscribers) for name, each in self._channels.items()}

    def waiting(self, session: Session) -> int:
        """How many messages a session has yet to get, because it does not read."""
        subscriber = self._subscribers.get(session)
        if subscriber is None or subscriber.backlog is None:
            return 0
        return subscriber.backlog.messages

    # For the application.

    def install(self, app: LineApp) -> None:
        """Add the commands."""

        @app.command(roles=self._subscribe_roles)
        def subscribe(session: Session, channel: str, *more: str) -> None:
            """Get what is published to channels, as * MESSAGE channel text."""
            self.subscribe(session, channel, *more)

        @app.command(roles=self._subscribe_roles)
        def unsubscribe(session: Session, *channels: str) -> None:
            """Get no more of channels, or of any."""
            self.unsubscribe(session, *channels)

        @app.command(roles=self._publish_roles, rate=self._publish_rate)
        def publish(channel: str, text: Rest) -> int:
            """Send a line to all subscribers of a channel; say how many they are."""
            return self.publish(channel, text)

        @app.command(roles=self._subscribe_roles)
        def channels() -> Iterator[str]:
            """List the channels and how many listen to each."""
            for name, count in sorted(self.counts().items()):
                yield f"{name} {count}"

    # What is there.

    def _check_name(self, name: str) -> None:
        if not name or len(name) > self._name_length:
            text = f"channel: expected 1 to {self._name_length} characters"
            raise CommandError("bad-argument", text)
        if not name.isprintable() or any(each in name for each in _NO_NAME):
            raise CommandError("bad-argument", "channel: expected no spaces, quotes or controls")

    def _subscriber(self, session: Session) -> Subscriber | None:
        """The subscriber that a session is; None if it will get nothing more."""
        if session.ended:
            return None
        subscriber = self._subscribers.get(session)
        if subscriber is None:
            self._bind(session)
            subscriber = self._subscribers[session] = Subscriber(session)
            session.on_end(partial(self._ended, session))
            session.on_writable(partial(self._delivery.serve, subscriber))
            session.on_closing(partial(self._closing, subscriber))
        if not subscriber.hears_logout:
            subscriber.hears_logout = True
            session.on_logout(partial(self._logged_out, subscriber))
        return None if subscriber.refused else subscriber

    def _bind(self, session: Session) -> None:
        """Speak as a session does."""
        replies = session.app.replies
        if self._subscribers and replies.line_end != self._replies.line_end:
            raise RuntimeError(f"{session.app}: expected the line end of the other applications")
        self._replies = replies
        self._clock = session.clock

    def _logged_out(self, subscriber: Subscriber) -> None:
        """What one user listened to is nothing to whoever comes next."""
        subscriber.hears_logout = False
        self.unsubscribe(subscriber.session)

    def _closing(self, subscriber: Subscriber) -> None:
        """It gets what was published before, and nothing more."""
        self._delivery.catch_up_all(subscriber)
        for channel in tuple(subscriber.channels.values()):
            self._leave(subscriber, channel)

    def _ended(self, session: Session) -> None:
        self._leave_all(self._subscribers.pop(session))

    def _leave_all(self, subscriber: Subscriber) -> None:
        for channel in tuple(subscriber.channels.values()):
            self._leave(subscriber, channel)
        subscriber.backlog = None

    def _leave(self, subscriber: Subscriber, channel: Channel) -> None:
        del subscriber.channels[channel.name]
        del channel.subscribers[subscriber]
        if not channel.subscribers:
            del self._channels[channel.name]
            self._delivery.forget(channel)

    def _later(self, function: Callable[[], object]) -> None:
        """Call at the end of the turn."""
        self._clock.callLater(0, function)

    def _notice(self, name: str, lost: int) -> bytes:
        return self._replies.push(f"DROPPED {name} {lost}")

    def _disconnect(self, subscriber: Subscriber) -> None:
        """It is too slow: tell it so, if it reads at all."""
        subscriber.refused = True
        self._leave_all(subscriber)
        self.counters.disconnected += 1
        session = subscriber.session
        most = f"more than {self._bounds.messages} messages or {self._bounds.size} bytes"
        call: IDelayedCall = session.clock.callLater(_GRACE, session.abort)
        session.on_end(lambda: call.cancel() if call.active() else None)
        session.close(CommandError("slow-consumer", f"{most} would have to wait"))
