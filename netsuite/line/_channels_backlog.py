"""What waits for a subscriber that does not read, and what becomes of what is too much.

Messages are kept as they are, bytes that all subscribers share: a backlog has references to them.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Policy = Literal["drop-oldest", "drop-newest", "disconnect"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait for one subscriber.

    :ivar policy: what becomes of more.
    :ivar messages: so many.
    :ivar size: bytes of them all.
    :raises ValueError: for a policy that there is not, or a bound below 1.
    """

    policy: Policy
    messages: int
    size: int

    def __post_init__(self) -> None:
        if self.policy not in get_args(Policy):
            expected = ", ".join(get_args(Policy))
            raise ValueError(f"policy {self.policy!r}: expected one of {expected}")
        if self.messages < 1 or self.size < 1:
            raise ValueError(f"queue of {self.messages}, {self.size} bytes: expected 1 or more")


class SlowConsumerError(Exception):
    """More is to wait than may, and the policy is to disconnect."""


class Backlog:
    """What one subscriber has yet to get, in the order in which it was published.

    Of what was lost it keeps the number, and tells it where the loss is: with ``drop-oldest``
    before what is left, with ``drop-newest`` behind what came before.

    :param bounds: how much that may be.
    :param notice: the bytes that say how many messages of a channel were lost.
    :ivar messages: how many wait.
    :ivar size: their bytes.
    """

    __slots__ = ("_bounds", "_entries", "_lost", "_notice", "messages", "size")

    def __init__(self, bounds: Bounds, notice: Callable[[str, int], bytes]) -> None:
        self.messages = 0
        self.size = 0
        self._bounds = bounds
        self._notice = notice
        #: Channel, bytes, and whether it is a message; a notice stands before a message.
        self._entries: deque[tuple[str, bytes, bool]] = deque()
        self._lost: dict[str, int] = {}

    def keep(self, channel: str, messages: Iterable[bytes]) -> int:
        """Keep messages until the subscriber reads.

        :param messages: none of them longer than the backlog may be.
        :returns: how many were lost for it, these or others.
        :raises SlowConsumerError: for more than may wait, if that is the policy.
        """
        lost = 0
        for data in messages:
            if self._has_room(data):
                self._append(channel, data)
            elif self._bounds.policy == "disconnect":
                raise SlowConsumerError
            elif self._bounds.policy == "drop-newest":
                self._lose(channel)
                lost += 1
            else:
                while not self._has_room(data):
                    self._lose(self._take_first())
                    lost += 1
                self._append(channel, data)
        return lost

    def serve(self, push: Callable[[bytes], bool]) -> tuple[bool, int]:
        """Send what can be sent.

        :param push: sends, and says whether it did.
        :returns: whether nothing is left, and how many messages were sent.
        """
        before = self.messages
        oldest = self._bounds.policy == "drop-oldest"
        if oldest and not self._tell(push):
            return False, 0
        while self._entries:
            if not push(self._entries[0][1]):
                return False, before - self.messages
            self._take_first()
        return self._tell(push), before

    def forget(self, channel: str) -> None:
        """Throw away what is of a channel."""
        self._lost.pop(channel, None)
        kept = [each for each in self._entries if each[0] != channel]
        self._entries = deque(kept)
        self.messages = sum(message for _, _, message in kept)
        self.size = sum(len(data) for _, data, message in kept if message)

    def _has_room(self, data: bytes) -> bool:
        bounds = self._bounds
        return self.messages < bounds.messages and self.size + len(data) <= bounds.size

    def _append(self, channel: str, data: bytes) -> None:
        if self._lost and self._bounds.policy == "drop-newest" and channel in self._lost:
            notice = self._notice(channel, self._lost.pop(channel))
            self._entries.append((channel, notice, False))
        self._entries.append((channel, data, True))
        self.messages += 1
        self.size += len(data)

    def _take_first(self) -> str:
        channel, data, message = self._entries.popleft()
        if message:
            self.messages -= 1
            self.size -= len(data)
        return channel

    def _lose(self, channel: str) -> None:
        self._lost[channel] = self._lost.get(channel, 0) + 1

    def _tell(self, push: Callable[[bytes], bool]) -> bool:
        """Say what was lost; whether all of it could be said."""
        for channel, lost in list(self._lost.items()):
            if not push(self._notice(channel, lost)):
                return False
            del self._lost[channel]
        return True
