"""What a conversation does one step at a time: whatever is not the common case.

Commands whose replies take their time, several lines, a peer that does not read, queues, limits,
endings, and what takes over a connection.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from inspect import isawaitable
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from netsuite.line._commands import Command, Commands
from netsuite.line._errors import RAISED, CommandError
from netsuite.line._limits import Limits
from netsuite.line._lines import NO_MORE, lines_of, pulled
from netsuite.line._output import Audit, Output, Slot
from netsuite.line._queue import Queue
from netsuite.line._replies import Replies
from netsuite.line._requests import Request, Requests
from netsuite.line._sending import GONE, Sending

# The bits of the state, all of which are why the common case is not the case; see also GONE.
LOOPING = 1  # somebody up the stack is at it
PAUSED = 2  # the peer does not read
WAITING = 4  # a reply has yet to come, or to go out as a whole
QUEUED = 8  # requests wait for it
PARTIAL = 16  # a literal, or what is skipped
CLOSING = 32  # nothing new is begun
WATCHED = 128  # each command needs a look: a transcript, or nobody has logged in
ENDING = 256  # the peer sends no more
TURNING = 512  # something else follows the reply to this command

#: How many lines of a connection there are before others have their turn.
TURN = 1000


class Steps(Sending):
    """One peer's commands and their replies, a step at a time.

    :ivar bytes_received: from the peer.
    """

    __slots__ = (
        "_blocked",
        "_exclusive",
        "_last",
        "_limits",
        "_queue",
        "_reading",
        "_requests",
        "_resting",
        "_slots",
        "_then",
        "bytes_received",
    )

    def __init__(
        self,
        commands: Commands,
        limits: Limits,
        replies: Replies,
        output: Output,
        audit: Audit | None = None,
    ) -> None:
        super().__init__(limits, replies, output, audit)
        self.bytes_received = 0
        self._limits = limits
        self._requests = Requests(commands, limits, self._forbids)
        self._queue = Queue(limits)
        self._slots: list[Slot] = []  # few: there is a limit
        self._reading = True
        self._resting = False
        self._blocked = False
        self._exclusive = False
        self._last: CommandError | None = None
        self._then: Callable[[], None] | None = None

    def end_of_input(self) -> None:
        """The peer will send no more: answer what it has asked, then close."""
        self._state |= ENDING
        self._work()

    def pause_sending(self) -> None:
        """The peer does not read: begin nothing, send nothing, read nothing."""
        self._state |= PAUSED
        self._regulate()

    def resume_sending(self) -> None:
        """The peer has read."""
        self._state &= ~PAUSED
        if self._state & LOOPING:
            self._state |= WAITING  # whoever it is looks again
        else:
            self._go_on()

    def lost(self) -> None:
        """The connection is gone: give up what was begun."""
        self._state |= GONE
        self._queue.clear()
        self._requests.held.clear()
        while self._slots:
            self._abandon(self._slots.pop(0))
        self.session.end()

    # One step at a time.

    def _work(self) -> None:
        """Do what can be done now."""
        if self._state & LOOPING:
            return
        self._state |= LOOPING
        share = TURN
        try:
            while self._step():
                if self._unsent > self._enough:
                    self._flush()
                share -= 1
                if not share:
                    self._rest()
        finally:
            self._state &= ~LOOPING
        self._flush()
        self._settle()

    def _step(self) -> bool:
        """Do one thing; whether there may be more to do."""
        if self._resting or self._state & (PAUSED | GONE):
            return False
        if self._slots and self._deliver(self._slots[0]):
            return True
        if self._state & (CLOSING | TURNING):
            return False
        first = self._queue.first
        if first is not None and self._may_begin(first):
            self._emit(self._begin(self._queue.take()))
            return True
        if not self._may_read():
            return False
        found = self._requests.next(last=not self._slots and not self._queue)
        if found is None:
            return False
        self._queue.put(found)
        return True

    def _may_begin(self, request: Request) -> bool:
        if not self._slots:
            return True
        return (
            request.parallel
            and len(self._slots) < self._limits.parallel
            and all(each.parallel for each in self._slots)
        )

    def _may_read(self) -> bool:
        """Whether a further request can be made of what is held."""
        if any(each.exclusive for each in self._slots):
            return False
        return self._queue.takes_more

    def _forbids(self, command: Command) -> CommandError | None:
        return None if self._audit is None else self._audit.forbids(self.session, command)

    # Carrying out.

    def _begin(self, request: Request) -> bytes | None:
        """Carry out; the reply, unless it comes later or has to wait for others."""
        command, error = request.command, request.error
        if self._audit is not None:
            self._audit.request(self.session, request)
            if error is None and command is not None:
                error = self._audit.may(self.session, command)
        if request.fatal:
            self._state |= CLOSING
        if command is None or error is not None:
            told = error or CommandError("unknown-command", "HELP lists the commands")
            return self._answer(self._replies.error(told), request.parallel)
        self._exclusive = command.exclusive
        try:
            if command.signature.session:
                value = command.function(self.session, *request.arguments)
            else:
                value = command.function(*request.arguments)
            return self._given(command, value)
        except RAISED as raised:
            self._stay(command)
            return self._answer(self._error(command.name, raised), command.parallel)
        finally:
            self._exclusive = False

    def _given(self, command: Command, value: Any) -> bytes | None:
        """What a handler has returned becomes a reply, now or later."""
        if isawaitable(value):
            slot = self._slot(command)
            slot.pending = True
            slot.give_up = self._output.wait_for(
                value,
                lambda result: self._came(slot, result),
                lambda error: self._broke(slot, error),
            )
            return None
        if command.signature.lines:
            lines = lines_of(value)
            self._slot(command).lines = lines
            return None
        return self._answer(self._replies.line(value), command.parallel)

    def _slot(self, command: Command) -> Slot:
        several = command.signature.lines
        slot = Slot(command.name, command.parallel, command.exclusive, several)
        self._slots.append(slot)
        self._state |= WAITING
        return slot

    def _answer(self, reply: bytes, parallel: bool) -> bytes | None:
        """The reply, if no other has to go out before."""
        if not self._slots:
            return reply
        self._slots.append(Slot("", parallel, reply=reply))
        return None

    def _came(self, slot: Slot, value: object) -> None:
        """What a handler has promised is here."""
        slot.pending = False
        slot.give_up = None
        if self._state & GONE:
            return
        try:
            if slot.several:
                slot.lines = lines_of(value)
            else:
                slot.reply = self._replies.line(value)
        except RAISED as error:
            self._break_off(slot, error)
        self._work()

    def _broke(self, slot: Slot, error: BaseException) -> None:
        """What a handler has promised does not come."""
        slot.pending = False
        slot.give_up = None
        if self._state & GONE:
            self._told(slot.name, error)  # only the log hears of it
            return
        self._break_off(slot, error)
        self._work()

    # Sending.

    def _deliver(self, slot: Slot) -> bool:
        """Send what can be sent of the first reply that is due; whether it was anything."""
        if slot.pending:
            return False
        if slot.reply is not None:
            self._slots.pop(0)
            self._emit(slot.reply)
            return True
        if isinstance(slot.lines, AsyncIterator):
            slot.pending = True
            slot.give_up = self._output.wait_for(
                pulled(slot.lines),
                lambda line: self._pulled(slot, line),
                lambda error: self._broke(slot, error),
            )
            return not slot.pending
        if slot.lines is not None:
            self._pull(slot, slot.lines)
            return not self._resting
        return False

    def _pull(self, slot: Slot, lines: Iterator[str]) -> None:
        """Send lines until there is enough for this turn."""
        try:
            for line in lines:
                self._emit(self._replies.text(line))
                slot.begun = True
                if self._is_enough():
                    return
        except RAISED as error:
            self._break_off(slot, error)
        else:
            slot.reply = self._replies.end

    def _is_enough(self) -> bool:
        """Whether this turn has had its share of lines; if so, the others come in the next."""
        if self._unsent <= self._enough:
            return False
        self._flush()
        self._rest()
        return True

    def _rest(self) -> None:
        """Let other connections have their turn."""
        if not self._resting:
            self._resting = True
            self._output.soon(self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._go_on()

    def _go_on(self) -> None:
        """Do what can be done now; there may be a shorter way."""
        self._work()

    def _pulled(self, slot: Slot, line: object) -> None:
        slot.pending = False
        slot.give_up = None
        if self._state & GONE or slot.reply is not None:
            self._abandon(slot)
            return
        if line is NO_MORE:
            slot.reply = self._replies.end
        else:
            try:
                self._emit(self._replies.text(line))  # type: ignore[arg-type]  # it says so itself
                slot.begun = True
                self._is_enough()
            except RAISED as error:
                self._break_off(slot, error)
        self._work()

    def _break_off(self, slot: Slot, error: BaseException) -> None:
        """End a reply with an error."""
        told = self._told(slot.name, error)
        self._abandon(slot)
        self._stay(slot)
        slot.reply = self._replies.broken_off(told) if slot.begun else self._replies.error(told)

    def _abandon(self, slot: Slot) -> None:
        """Give up what a reply was to come from."""
        give_up, lines = slot.give_up, slot.lines
        slot.give_up = None
        try:
            if give_up is not None:
                give_up()
            if isinstance(lines, AsyncGeneratorType) and not lines.ag_running:
                slot.lines = None
                self._output.wait_for(lines.aclose(), _ignore, partial(self.failed, slot.name))
            elif isinstance(lines, GeneratorType) and not lines.gi_running:
                slot.lines = None
                lines.close()
        except RAISED as error:
            self._output.failed(slot.name, error)

    def _settle(self) -> None:
        """Know what state this is, after all was done that can be done."""
        state = self._state & (PAUSED | CLOSING | ENDING | GONE | WATCHED | TURNING)
        if state & GONE:
            return
        if self._slots:
            state |= WAITING
        if self._queue:
            state |= QUEUED
        if self._requests.partial:
            state |= PARTIAL
        self._state = state
        idle = not self._slots and not self._resting and not (state & PAUSED)
        if state & TURNING and idle:
            self._turn()
            return
        self._let_push()
        closing = state & CLOSING and not self._slots
        if closing or (state & ENDING and idle and not self._queue):
            self._end()
        self._regulate()

    def _let_push(self) -> None:
        """Tell those who wait for it that they can send."""
        if self._blocked and self.writable:
            self._blocked = False
            self.session.became_writable()

    def _end(self) -> None:
        """All that was asked is answered: close, once what else there is to say is out.

        What an error ends is not asked.
        """
        if self._last is None and not self._blocked:
            self.session.closing()
        if self._state & GONE:
            return
        if self._last is None:
            reads = self._state & CLOSING or self.writable
            if self._blocked or not reads:
                return
        self._finish()

    def _regulate(self) -> None:
        """Read from the peer, or do not."""
        if self._state & GONE:
            return
        stop = bool(self._state & (PAUSED | CLOSING | ENDING)) or not self._may_read()
        stop = stop or self._requests.undecided or (self._resting and bool(self._requests.held))
        if stop and self._reading:
            self._reading = False
            self._output.pause_reading()
        elif not stop and not self._reading:
            self._reading = True
            self._output.resume_reading()

    def _finish(self) -> None:
        if self._last is not None:
            self._emit(self._replies.error(self._last))
            self._flush()
        self._let_go()
        self._output.close()

    def _let_go(self) -> None:
        """Have nothing more to do with the connection, which reads."""
        self._state |= GONE
        self._queue.clear()
        self._requests.held.clear()
        if not self._reading:
            self._output.resume_reading()

    # For the session.

    @property
    def busy(self) -> bool:
        """Whether the peer waits for us rather than we for the peer."""
        return bool(self._state & (WAITING | QUEUED)) and not self.paused

    @property
    def paused(self) -> bool:
        """Whether the peer does not read what is sent to it."""
        return bool(self._state & PAUSED)

    @property
    def writable(self) -> bool:
        """Whether a push can go out now."""
        if self._state & (PAUSED | GONE | TURNING):
            return False
        return not (self._slots and self._slots[0].begun)

    def push(self, data: bytes) -> bool:
        """Send something that is no reply, if it can go out now."""
        if not self._state:  # nothing else is going on
            self.bytes_sent += len(data)
            self.replies_sent += 1
            self.write(data)
            return True
        if not self.writable:
            self._blocked = True
            return False
        self._emit(data)
        if not self._state & LOOPING or self._unsent > self._enough:
            self._flush()
        return True

    def watch(self, watching: bool) -> None:
        """Let the audit see each command, or only those that are guarded."""
        self._state = self._state | WATCHED if watching else self._state & ~WATCHED

    def close(self, error: CommandError | None = None) -> None:
        """Close once what was begun is answered."""
        self._last = self._last or error
        self._state |= CLOSING
        if self._last is None:
            self.session.closing()  # before the reply to the command that closes
        self._work()

    def abort(self) -> None:
        """Close at once."""
        self._state |= GONE
        self._output.abort()

    def start_tls(self, context: Any) -> None:
        """Speak TLS once the reply is out."""
        self._turning("TLS begins")
        if self._requests.held:
            self._state |= CLOSING
            raise CommandError(
                "not-allowed", "TLS: expected nothing behind the command before its reply"
            )
        self._then = lambda: self._begin_tls(context)
        self._state |= TURNING

    def upgrade(self, take: Callable[[Any, bytes], Any]) -> None:
        """Hand the connection over once the reply is out."""
        self._turning("another protocol takes over")
        self._then = lambda: self._hand_over(take)
        self._state |= TURNING

    def _turning(self, what: str) -> None:
        if not (self._exclusive or any(each.exclusive for each in self._slots)):
            raise RuntimeError(f"{what}: expected of a command that is declared exclusive")

    def _stay(self, of: Command | Slot) -> None:
        """A command has failed: what it has asked to follow does not."""
        if of.exclusive:
            self._then = None
            self._state &= ~TURNING

    def _turn(self) -> None:
        then, self._then = self._then, None
        self._state &= ~TURNING
        if then is not None:
            then()

    def _begin_tls(self, context: Any) -> None:
        if self._requests.held:
            self.abort()
            return
        try:
            self._output.start_tls(context)
        except RAISED as error:
            self.failed("start_tls", error)
            self.abort()
            return
        self.session.secure = True
        self.session.logout()
        self._work()

    def _hand_over(self, take: Callable[[Any, bytes], Any]) -> None:
        rest = bytes(self._requests.held)
        self._let_go()
        self._output.hand_over(take, rest)


def _ignore(_: object) -> None:
    pass
