"""How messages reach subscribers: once a turn, in order, and some subscribers at a time.

A channel numbers its messages and keeps those that not everybody has been given. Each
subscriber has the number of the message that is its next. At the end of a turn a round begins:
what there is is joined, and goes to one subscriber after the other. Who comes in the middle
begins with what is published then; who goes in the middle is given what was published before.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import length_hint
from typing import Protocol

from netsuite.line._channels_backlog import Backlog, Bounds, SlowConsumerError
from netsuite.line._session import Session

#: Subscribers that are served in one turn, of all channels; then others have theirs.
AT_ONCE = 500

#: Bytes that wait for the end of a turn, of all channels; more go out without waiting.
TURN_BYTES = 64 * 1024


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


class Way(Protocol):
    """The way out to a subscriber."""

    def push(self, data: bytes) -> bool:
        """Send, if it can go out now."""


class _OtherLines:
    """The way out to a session whose lines may end in another way than those of all others."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def push(self, data: bytes) -> bool:
        """Send, if it can go out now."""
        usual, wanted = self._session.app.replies.line_end, self._session.line_end
        return self._session.send_raw(data if usual == wanted else data.replace(usual, wanted))


class Subscriber:
    """A session that listens.

    :ivar way: where what is sent to it goes.
    :ivar channels: what it listens to.
    :ivar backlog: what it has yet to get; None while it can be written to.
    :ivar refused: whether it was too slow, and gets nothing more.
    :ivar hears_logout: whether it will lose its channels when its user logs out.
    """

    __slots__ = ("backlog", "channels", "hears_logout", "refused", "session", "way")

    def __init__(self, session: Session) -> None:
        self.session = session
        # What send_raw calls, without a step in between: there may be thousands.
        self.way: Way = _OtherLines(session) if session.shown else session._line
        self.channels: dict[str, Channel] = {}
        self.backlog: Backlog | None = None
        self.refused = False
        self.hears_logout = False


class Channel:
    """A channel that somebody listens to.

    :ivar subscribers: each with the number of its next message.
    :ivar messages: those that not everybody has been given.
    :ivar first: the number of the first of them.
    :ivar round: what is on its way now.
    """

    __slots__ = ("first", "messages", "name", "round", "subscribers")

    def __init__(self, name: str) -> None:
        self.name = name
        self.subscribers: dict[Subscriber, int] = {}
        self.messages: list[bytes] = []
        self.first = 0
        self.round: Round | None = None

    @property
    def end(self) -> int:
        """The number that the next message will have."""
        return self.first + len(self.messages)

    def joined(self, begin: int, end: int) -> bytes:
        """Messages as one."""
        messages = self.messages[begin - self.first : end - self.first]
        return messages[0] if len(messages) == 1 else b"".join(messages)


class Round:
    """All messages that a channel had when it began, on their way.

    :ivar end: the number behind the last of them.
    :ivar left: subscribers that have yet to be given them.
    """

    __slots__ = ("data", "end", "left")

    def __init__(self, channel: Channel) -> None:
        self.end = channel.end
        self.data = channel.joined(channel.first, self.end)
        self.left: Iterator[Subscriber] = iter(tuple(channel.subscribers))


class Delivery:
    """Brings messages to subscribers.

    :param bounds: of what waits for one of them.
    :param notice: the bytes that say how many messages of a channel were lost.
    :param soon: calls when the turn is over.
    :param too_slow: called for a subscriber that is to be disconnected.
    """

    def __init__(
        self,
        bounds: Bounds,
        notice: Callable[[str, int], bytes],
        soon: Callable[[Callable[[], object]], object],
        too_slow: Callable[[Subscriber], object],
    ) -> None:
        self.counters = ChannelCounters()
        self._bounds = bounds
        self._notice = notice
        self._soon = soon
        self._too_slow = too_slow
        #: Channels with messages that not everybody has been given.
        self._pending: dict[Channel, None] = {}
        self._pending_bytes = 0
        self._scheduled = False
        self._delivering = False

    def publish(self, channel: Channel, data: bytes) -> None:
        """Send a message to those who listen now, when the turn is over."""
        channel.messages.append(data)
        self._pending[channel] = None
        self._pending_bytes += len(data)
        if self._pending_bytes > TURN_BYTES:
            self._deliver(None)
        else:
            self._schedule()

    def catch_up(self, subscriber: Subscriber, channel: Channel) -> None:
        """Give one subscriber at once what was published so far."""
        begin, end = channel.subscribers[subscriber], channel.end
        if begin < end:
            channel.subscribers[subscriber] = end
            if subscriber.backlog is None and subscriber.way.push(channel.joined(begin, end)):
                self.counters.delivered += end - begin
            elif subscriber in channel.subscribers:
                self._hold(subscriber, channel, begin, end)

    def catch_up_all(self, subscriber: Subscriber) -> None:
        """The same, of all that it listens to."""
        for channel in tuple(subscriber.channels.values()):
            self.catch_up(subscriber, channel)

    def serve(self, subscriber: Subscriber) -> None:
        """A subscriber that could not be written to can be now."""
        if subscriber.backlog is not None:
            done, sent = subscriber.backlog.serve(subscriber.way.push)
            self.counters.delivered += sent
            if done:
                subscriber.backlog = None

    def forget(self, channel: Channel) -> None:
        """Nobody listens any more."""
        if channel in self._pending:
            del self._pending[channel]
            self._pending_bytes -= sum(map(len, channel.messages))
            channel.messages.clear()
            channel.round = None

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._soon(self._end_turn)

    def _end_turn(self) -> None:
        self._scheduled = False
        self._deliver(AT_ONCE)

    def _deliver(self, most: int | None) -> None:
        """Go on with the rounds, for so many subscribers; None for all."""
        if self._delivering:
            return  # somebody up the stack is at it
        self._delivering = True
        left = most
        try:
            while self._pending and (left is None or left > 0):
                visited = self._go_round(next(iter(self._pending)), left)
                left = None if left is None else left - visited
        finally:
            self._delivering = False
            if self._pending:
                self._schedule()

    def _go_round(self, channel: Channel, most: int | None) -> int:
        """Go on with a channel's round; how many subscribers that were."""
        going = channel.round
        if going is None:
            going = channel.round = Round(channel)
        data, end, first, there = going.data, going.end, channel.first, channel.subscribers
        before = length_hint(going.left)
        sent = 0
        for subscriber in islice(going.left, most):
            begin = there.get(subscriber, end)  # gone since, if it is not there
            if begin >= end:
                continue
            there[subscriber] = end
            mine = data if begin == first else channel.joined(begin, end)
            if subscriber.backlog is None and subscriber.way.push(mine):
                sent += end - begin
            elif subscriber in there:
                self._hold(subscriber, channel, begin, end)
        self.counters.delivered += sent
        left = length_hint(going.left)
        if not left and channel.round is going:
            self._finish(channel, going)
        return before - left

    def _finish(self, channel: Channel, going: Round) -> None:
        """Everybody was given what was on its way."""
        channel.round = None
        del channel.messages[: going.end - channel.first]
        channel.first = going.end
        self._pending_bytes -= len(going.data)
        del self._pending[channel]
        if channel.messages:
            self._pending[channel] = None  # it is the others' turn first

    def _hold(self, subscriber: Subscriber, channel: Channel, begin: int, end: int) -> None:
        """Keep messages for a subscriber that cannot be written to."""
        backlog = subscriber.backlog
        if backlog is None:
            backlog = subscriber.backlog = Backlog(self._bounds, self._notice)
        messages = channel.messages[begin - channel.first : end - channel.first]
        try:
            self.counters.dropped += backlog.keep(channel.name, messages)
        except SlowConsumerError:
            self._too_slow(subscriber)
