"""Where a command reads and writes."""

import json
import sys
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, TextIO

from netsuite._command_line import abandon


class Trouble(Exception):  # noqa: N818 - as diff and grep call it
    """The command cannot go on; the message is one line for a person.

    An empty one: all has been said.
    """


@dataclass(frozen=True, slots=True)
class Streams:
    """The three standard streams. Data is bytes; what goes to people is text."""

    input: BinaryIO
    output: BinaryIO
    errors: TextIO

    @classmethod
    def of_process(cls) -> "Streams":
        """Those of this process; one that was closed before we started is empty."""
        return cls(
            input=sys.stdin.buffer if sys.stdin else BytesIO(),
            # Not sys.stdout.buffer: under PYTHONUNBUFFERED it writes as much as it likes.
            output=open(sys.stdout.fileno(), "wb", closefd=False) if sys.stdout else BytesIO(),
            errors=sys.stderr,
        )

    def write(self, text: str) -> None:
        """Put text on the standard output."""
        self.output.write(text.encode(errors="backslashreplace"))

    def write_json(self, value: object) -> None:
        """Put one JSON text on the standard output, and a newline."""
        self.write(json.dumps(value) + "\n")

    def complain(self, line: str) -> None:
        """Put one line on the standard error output."""
        self.errors.write(line.encode(errors="backslashreplace").decode() + "\n")
        self.errors.flush()

    def abandon_output(self) -> None:
        """Let what could not be written go nowhere: Python would try again at its end."""
        try:
            output = self.output.fileno()
        except OSError:  # it is no file
            return
        abandon(output)
