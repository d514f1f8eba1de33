"""Channels: what one peer publishes goes to all that have subscribed.

:class:`Channels` adds the commands ``SUBSCRIBE``, ``UNSUBSCRIBE``, ``PUBLISH`` and ``CHANNELS``
to an application, and is for programs too::

    channels = Channels(policy="drop-oldest", publish_roles=["feed"])
    app.add(channels)
    channels.publish("weather", "rain by noon")

Subscribers read ``* MESSAGE weather rain by noon``.

A message is encoded once. What is published to a channel within one turn of the reactor is
joined once, at its end, and all subscribers that can be written to get the same bytes. For the
others it is kept, within bounds (:class:`~netsuite.line.channels.Channels`). Each subscriber gets
the messages of a channel in the order in which they were published.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IReactorTime

from netsuite.line._arguments import Rest
from netsuite.line._channels_backlog import Backlog, Bounds, Policy, SlowConsumerError
from netsuite.line._errors import CommandError
from netsuite.line._replies import Replies
from netsuite.line._session import Session
from netsuite.line.app import LineApp

__all__ = ["ChannelCounters", "Channels", "Policy"]

#: Bytes that are kept for the end of the turn; then they go out at once.
_TURN = 64 * 1024

#: Seconds that a peer that is too slow has to read the rest and why it is disconnected.
_GRACE = 10.0

_NAME_ENDS = ' "'  # what is no part of a name, of all that can be shown


@dataclass(slots=True)
class ChannelCounters:
    """Totals since the channels were made.

    :ivar published: messages, whether somebody listened or not.
    :ivar delivered: messages handed to connections, once for each subscriber.
    :ivar dropped: messages that subscribers have lost, once for each of them.
    :ivar disconnected: subscribers that were too slow.
    """

    published: int = 0
    delivered: int = 0
    dropped: int = 0
    disconnected: int = 0


class _Subscriber:
    """A session, as long as it lives.

    :ivar push: its way out.
    :ivar channels: what it listens to.
    :ivar backlog: what it has yet to get; None while it can be written to.
    :ivar refused: whether it was too slow.
    """

    __slots__ = ("backlog", "channels", "push", "refused", "session")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.push = session.send_raw
        self.channels: dict[str, _Channel] = {}
        self.backlog: Backlog | None = None
        self.refused = False


class _Channel:
    """A channel that somebody listens to.

    :ivar subscribers: in the order in which they came.
    :ivar pending: messages of this turn.
    :ivar delivering: whether somebody up the stack is at it.
    """

    __slots__ = ("delivering", "name", "pending", "subscribers")

    def __init__(self, name: str) -> None:
        self.name = name
        self.subscribers: dict[_Subscriber, None] = {}
        self.pending: list[bytes] = []
        self.delivering = False


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
        self.counters = ChannelCounters()
        self._max_channels = max_channels
        self._name_length = name_length
        self._message = message
        self._publish_roles = publish_roles
        self._subscribe_roles = subscribe_roles
        self._publish_rate = publish_rate
        self._soon = soon
        self._clock: IReactorTime
        self._replies: Replies
        self._channels: dict[str, _Channel] = {}
        self._subscribers: dict[Session, _Subscriber] = {}
        #: Channels with messages of this turn.
        self._pending: dict[_Channel, None] = {}
        self._pending_bytes = 0
        self._scheduled = False

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
        size = len(text.encode("utf-8", "surrogateescape"))
        if size > self._message:
            raise CommandError("bad-argument", f"text: expected at most {self._message} bytes")
        if "\r" in text or "\n" in text:
            raise CommandError("bad-argument", "text: expected one line")
        self.counters.published += 1
        if channel is None:
            return 0
        self._keep_for_turn(channel, self._replies.push(f"MESSAGE {name} {text}"))
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
                channel = self._channels[each] = _Channel(each)
            self._deliver(channel)  # what was published before is for the others
            channel.subscribers[subscriber] = None
            subscriber.channels[each] = channel

    def unsubscribe(self, session: Session, *names: str) -> None:
        """Have a session get no more of channels; what waits for it is thrown away.

        :param names: all that it listens to, if there are none.
        """
        subscriber = self._subscribers.get(session)
        if subscriber is None:
            return
        for each in names or tuple(subscriber.channels):
            channel = subscriber.channels.get(each)
            if channel is not None:
                self._deliver(channel)  # what was published before is still for it
                self._leave(subscriber, channel)
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
        if not name.isprintable() or any(each in name for each in _NAME_ENDS):
            raise CommandError("bad-argument", "channel: expected no spaces, quotes or controls")

    def _subscriber(self, session: Session) -> _Subscriber | None:
        """The subscriber that a session is; None if it will get nothing more."""
        if session.ended:
            return None
        subscriber = self._subscribers.get(session)
        if subscriber is None:
            self._bind(session)
            subscriber = self._subscribers[session] = _Subscriber(session)
            session.on_end(lambda: self._ended(session))
            session.on_writable(lambda: self._serve(session))
        return None if subscriber.refused else subscriber

    def _bind(self, session: Session) -> None:
        """Speak as a session does."""
        replies = session.app.replies
        if self._subscribers and replies.line_end != self._replies.line_end:
            raise RuntimeError(f"{session.app}: expected the line end of the other applications")
        self._replies = replies
        self._clock = session.clock

    def _ended(self, session: Session) -> None:
        self._leave_all(self._subscribers.pop(session))

    def _leave_all(self, subscriber: _Subscriber) -> None:
        for channel in tuple(subscriber.channels.values()):
            self._leave(subscriber, channel)
        subscriber.backlog = None

    def _leave(self, subscriber: _Subscriber, channel: _Channel) -> None:
        del subscriber.channels[channel.name]
        del channel.subscribers[subscriber]
        if not channel.subscribers and self._channels.get(channel.name) is channel:
            del self._channels[channel.name]

    # Delivery.

    def _keep_for_turn(self, channel: _Channel, data: bytes) -> None:
        channel.pending.append(data)
        self._pending[channel] = None
        self._pending_bytes += len(data)
        if self._pending_bytes > _TURN:
            self._deliver_all()
        elif not self._scheduled:
            self._scheduled = True
            if self._soon is not None:
                self._soon(self._end_turn)
            else:
                self._clock.callLater(0, self._end_turn)

    def _end_turn(self) -> None:
        self._scheduled = False
        self._deliver_all()

    def _deliver_all(self) -> None:
        for channel in tuple(self._pending):
            self._deliver(channel)

    def _deliver(self, channel: _Channel) -> None:
        """Send what was published in this turn to those who listen now."""
        if channel.delivering:
            return  # what has just come is next
        channel.delivering = True
        try:
            while channel.pending:
                messages, channel.pending = channel.pending, []
                del self._pending[channel]
                data = messages[0] if len(messages) == 1 else b"".join(messages)
                self._pending_bytes -= len(data)
                self._fan_out(channel, messages, data)
        finally:
            channel.delivering = False

    def _fan_out(self, channel: _Channel, messages: list[bytes], data: bytes) -> None:
        sent = 0
        too_slow: list[_Subscriber] = []
        there = channel.subscribers
        for subscriber in tuple(there):
            if subscriber not in there:
                continue  # gone since
            if subscriber.backlog is None and subscriber.push(data):
                sent += 1
            elif subscriber in there:
                self._hold(subscriber, channel, messages, too_slow)
        self.counters.delivered += sent * len(messages)
        for subscriber in too_slow:
            self._disconnect(subscriber)

    def _hold(
        self,
        subscriber: _Subscriber,
        channel: _Channel,
        messages: list[bytes],
        too_slow: list[_Subscriber],
    ) -> None:
        backlog = subscriber.backlog
        if backlog is None:
            backlog = subscriber.backlog = Backlog(self._bounds, self._notice)
        try:
            self.counters.dropped += backlog.keep(channel.name, messages)
        except SlowConsumerError:
            too_slow.append(subscriber)

    def _notice(self, name: str, lost: int) -> bytes:
        return self._replies.push(f"DROPPED {name} {lost}")

    def _serve(self, session: Session) -> None:
        """A session that could not be written to can be now."""
        subscriber = self._subscribers.get(session)
        if subscriber is not None and subscriber.backlog is not None:
            done, sent = subscriber.backlog.serve(subscriber.push)
            self.counters.delivered += sent
            if done:
                subscriber.backlog = None

    def _disconnect(self, subscriber: _Subscriber) -> None:
        """It is too slow: tell it so, if it reads at all."""
        if subscriber.refused:
            return
        subscriber.refused = True
        self._leave_all(subscriber)
        self.counters.disconnected += 1
        session = subscriber.session
        most = f"more than {self._bounds.messages} messages or {self._bounds.size} bytes"
        call: Any = session.clock.callLater(_GRACE, session.abort)
        session.on_end(lambda: call.cancel() if call.active() else None)
        session.close(CommandError("slow-consumer", f"{most} would have to wait"))
