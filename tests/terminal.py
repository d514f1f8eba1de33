"""A program on a terminal of the test's: what a person would type, and what there is to see."""

import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fcntl import ioctl

import pyte

from tests.running import PATIENCE

ROWS, COLUMNS = 30, 100


class Terminal:
    """A terminal with a program on it.

    :ivar raw: all that the program has written.
    """

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self.raw = b""
        self._descriptor = descriptor
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._screen.write_process_input = self._answer  # type: ignore[method-assign]  # as it says
        self._stream = pyte.ByteStream(self._screen)
        self._ended = False

    @property
    def lines(self) -> list[str]:
        """What is on the screen, without the empty lines at its end."""
        found = [line.rstrip() for line in self._screen.display]
        while found and not found[-1]:
            found.pop()
        return found

    @property
    def text(self) -> str:
        """The same, as one text."""
        return "\n".join(self.lines)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._descriptor, text.encode())

    def wait_for(self, *texts: str) -> None:
        """Wait until all of these are on the screen."""
        self._until(lambda: all(each in self.text for each in texts), texts)

    def wait_for_prompt(self, prompt: str) -> None:
        """Wait until the last line is a prompt with nothing behind it."""
        self._until(lambda: bool(self.lines) and self.lines[-1] == prompt.rstrip(), prompt)

    def insist(self, keys: str, prompt: str) -> None:
        """Press keys, and again after a while, until the last line is a prompt.

        For what a program may not be ready for when it shows its first prompt, and what does
        nothing more the second time.
        """
        again = 0.0

        def there() -> bool:
            nonlocal again
            if self.text.endswith(prompt):
                return True
            if time.monotonic() > again:
                again = time.monotonic() + 1.0
                self.type(keys)
            return False

        self._until(there, prompt)

    def wait_for_end(self) -> int:
        """Wait until the program has ended; its status."""
        self._until(lambda: self._ended, "the end")
        return self.process.wait(PATIENCE)

    def _until(self, condition: Callable[[], bool], what: object) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"waiting for {what!r}:\n{self.text}"
            assert not self._ended, f"it has ended before {what!r}:\n{self.text}"
            self._read()

    def _read(self) -> None:
        readable, _, _ = select.select([self._descriptor], [], [], 0.1)
        if not readable:
            return
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # how the end of a terminal shows
            data = b""
        self._ended = not data
        self.raw += data
        self._stream.feed(data)

    def _answer(self, data: str) -> None:
        os.write(self._descriptor, data.encode())


@contextmanager
def on_terminal(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Run a program on a terminal of its own until the block ends."""
    ours, its = pty.openpty()
    ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    try:
        process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            stdin=its,
            stdout=its,
            stderr=its,
            env={**(environment or os.environ), "TERM": "xterm"},
        )
    finally:
        os.close(its)
    try:
        yield Terminal(process, ours)
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)
        os.close(ours)
