"""Conversations whose wire is the program's own: what words are, what follows them, what is said.

Commands take all words of a line, and perhaps a block of bytes behind it; replies are bytes, or
iterators of bytes for what is too much to have at once.
"""

from collections.abc import Iterator
from typing import Any

from netsuite.line._commands import Command, Commands
from netsuite.line._errors import RAISED
from netsuite.line._machine import Conversation
from netsuite.line._output import Slot
from netsuite.line._runners import ANY, WITH_BLOCK
from netsuite.line._sending import GONE
from netsuite.line._steps import CLOSING, LOOPING, TURN


class VerbatimConversation(Conversation):
    """What happens on a connection of an application that says what words are."""

    __slots__ = ("_split",)

    def __init__(self, commands: Commands, *rest: Any) -> None:
        super().__init__(commands, *rest)
        self._split = commands.words or bytes.split

    def receive(self, data: bytes) -> None:
        """Take bytes, carry out the commands in them, and answer.

        :param data: as it came from the peer.
        """
        self.bytes_received += len(data)
        held = self._requests.held
        if self._state:
            if not self._state & GONE:
                held += data
                self._work()
            return
        if held:
            held += data
            if b"\n" not in data and len(held) <= self._longest:
                return
            data = bytes(held)
            held.clear()
        self._take(data)

    def _take(self, data: bytes) -> None:
        held = self._requests.held
        self._state = LOOPING
        at = self._carry_out(data)
        if at < len(data):
            held[:0] = data[at:]
        self._state &= ~LOOPING
        if held or self._state or not self._reading:
            self._work()
        else:
            self._flush()

    def _carry_out(self, data: bytes) -> int:
        """Carry out the commands that are complete; returns where the rest begins."""
        split, spelled = self._split, self._spelled
        at, size, share = 0, len(data), TURN
        while self._state == LOOPING:
            end = data.find(b"\n", at)
            if end < 0 or end - at > self._longest:
                break
            share -= 1
            if share < 0:
                self._rest()
                break
            line = data[at:end]
            words = split(line)
            command = spelled.get(words[0]) if words else None
            after = end + 1
            if command is None:
                reply = self._general(line)
            elif command.words == ANY:
                reply = self._run(command, words)
            elif command.words != WITH_BLOCK:
                reply = self._general(line)
            elif (length := command.length(words)) is None:  # type: ignore[misc]  # it has one
                reply = self._run(command, words)
            else:
                after += length
                if after > size or length > self._limits.literal:
                    break
                reply = self._run(command, words, data[end + 1 : after])
            at = after
            if reply:
                self._out.append(reply)
                self._unsent += len(reply)
                if self._unsent > self._enough:
                    self._flush()
        return at

    def _run(self, command: Command, words: list[bytes], *block: bytes) -> bytes | None:
        try:
            value = command.run(self.session, words, *block)
            if type(value) is bytes:
                return value
            return self._given(command, value)
        except RAISED as error:
            return self._error(command.name, error)

    def _emit(self, data: bytes | None) -> None:
        if data:  # or a command has nothing to say
            super()._emit(data)

    def _given(self, command: Command, value: Any) -> bytes | None:
        if isinstance(value, Iterator):
            self._slot(command).lines = value
            return None
        return super()._given(command, value)

    def _pull(self, slot: Slot, lines: Iterator[Any]) -> None:
        """Send what is to be said until there is enough for this turn."""
        try:
            for chunk in lines:
                self._emit(chunk)
                slot.begun = True
                if self._is_enough():
                    return
        except RAISED as error:
            # What is missing cannot be told from what comes next.
            self._output.failed(slot.name, error)
            self._state |= CLOSING
        slot.reply = b""
