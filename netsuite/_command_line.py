"""What all of our commands have: help that is shown whole or not at all, mistakes in one line."""

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

#: The exit status of a command that cannot do what it was asked.
EXIT_TROUBLE = 2

#: That of one whose output nobody wants to read any more, as if the signal had ended it.
EXIT_OUTPUT_GONE = 128 + signal.SIGPIPE


class CommandParser(argparse.ArgumentParser):
    """The options of a tool."""

    def error(self, message: str) -> NoReturn:
        """End with it: a mistake is one line."""
        self.exit(EXIT_TROUBLE, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def print_help(self, file: "SupportsWrite[str] | None" = None) -> None:
        """Show the help."""
        if file is None:
            show(self.prog, self.format_help())
        else:
            super().print_help(file)


def show(program: str, text: str) -> None:
    """Put on the standard output what somebody has asked for.

    :param program: what complains if it cannot be.
    :raises SystemExit: then.
    """
    if sys.stdout is None:
        sys.exit(_complain(program, "it is closed"))
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        abandon(sys.stdout.fileno())
        sys.exit(EXIT_OUTPUT_GONE)
    except OSError as error:
        abandon(sys.stdout.fileno())
        sys.exit(_complain(program, error.strerror or str(error)))


def abandon(descriptor: int) -> None:
    """Let what could not be written go nowhere: Python would try again at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _complain(program: str, text: str) -> int:
    if sys.stderr is not None:
        sys.stderr.write(f"{program}: output: {text}\n")
    return EXIT_TROUBLE
