"""What happens on one connection, without the connection: requests in, replies out, in order.

The common case (commands that answer at once, to a peer that reads) is
:meth:`Conversation.receive` alone. Everything else is a state that it is not in, and is done one
step at a time (:mod:`netsuite.line._steps`).
"""

from netsuite.line._commands import Commands
from netsuite.line._errors import RAISED
from netsuite.line._limits import Limits
from netsuite.line._output import Audit, Output
from netsuite.line._replies import Replies
from netsuite.line._runners import ANY, UnfitError
from netsuite.line._sending import GONE
from netsuite.line._steps import LOOPING, PARTIAL, QUEUED, TURN, Steps

_PIECE = 4 * 1024  # bytes that are split into lines at a time


class Conversation(Steps):
    """One peer's commands and their replies."""

    __slots__ = ("_longest", "_spelled", "_whole")

    def __init__(
        self,
        commands: Commands,
        limits: Limits,
        replies: Replies,
        output: Output,
        audit: Audit | None = None,
    ) -> None:
        super().__init__(commands, limits, replies, output, audit)
        self._spelled = commands.spelled
        self._longest = limits.line_length
        self._whole = replies.whole

    def receive(self, data: bytes) -> None:
        """Take bytes, carry out the commands in them, and answer.

        :param data: as it came from the peer.
        """
        self.bytes_received += len(data)
        requests = self._requests
        if self._state:
            if not self._state & GONE:
                requests.held += data
                self._work()
            return
        if requests.held:
            data = bytes(requests.held) + data
            requests.held.clear()
        if data.find(b"\n") != len(data) - 1 or len(data) > self._longest or not data:
            self._take(data)
            return
        self._state = LOOPING
        reply = self._general(data) if b'"' in data or b"_" in data else self._at_once(data)
        if reply is None or self._state != LOOPING or self._out or requests.held:
            self._emit(reply)
            self._state &= ~LOOPING
            self._work()
        else:
            self._state = 0
            self.replies_sent += 1
            self.bytes_sent += len(reply)
            self.write(reply)

    def _take(self, data: bytes) -> None:
        """Carry out all lines in these bytes, a piece at a time, as far as that is simple."""
        answer = self._general if b'"' in data or b"_" in data else self._at_once
        at, share = 0, TURN
        self._state = LOOPING
        while self._state == LOOPING and (end := data.rfind(b"\n", at, at + _PIECE) + 1):
            lines = data[at : end - 1].split(b"\n")
            if max(map(len, lines)) > self._longest:
                break
            if share <= 0:
                self._rest()
                break
            share -= len(lines)
            at = end
            left = iter(lines)
            for line in left:
                reply = answer(line)
                if reply is not None:
                    self._out.append(reply)
                    self._unsent += len(reply)
                    if self._unsent > self._enough:
                        self._flush()
                if self._state != LOOPING:
                    at -= len(b"\n".join([*left, b""]))
                    break
        more = data[at:]
        simple = self._state == LOOPING and self._reading and not self._requests.held
        self._requests.held[:0] = more
        if simple and b"\n" not in more and len(more) <= self._longest:
            self._state = 0
            self._flush()
        else:
            self._state &= ~LOOPING
            self._work()

    def _at_once(self, line: bytes) -> bytes | None:
        """The reply to a line, if there is nothing special about it; None if it went elsewhere."""
        words = line.split()
        command = self._spelled.get(words[0]) if words else None
        if command is None or (command.words != len(words) and command.words != ANY):
            return self._general(line)
        try:
            value = command.run(self.session, words)
            kind = type(value)
            if kind is int:
                number: bytes = self._whole % value
                return number
            if kind is str:
                return self._replies.text(value)
            if kind is bytes or value is None:
                return self._replies.line(value)
            return self._given(command, value)
        except UnfitError:
            return self._general(line)
        except RAISED as error:
            return self._error(command.name, error)

    def _general(self, line: bytes) -> bytes | None:
        request = self._requests.request_of(line.removesuffix(b"\n"))
        if request is None:
            if self._requests.partial:
                self._state |= PARTIAL
            return None
        if request.exclusive:
            self._queue.put(request)  # what stands behind it is not for us to look at
            self._state |= QUEUED
            return None
        return self._begin(request)

    def _go_on(self) -> None:
        held = self._requests.held
        if self._state or not held:
            self._work()
        else:
            data = bytes(held)
            held.clear()
            self._take(data)
