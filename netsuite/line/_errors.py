"""What goes wrong between a peer's line and its reply."""

import re
from asyncio import CancelledError

#: What a program's functions raise. A ``sys.exit()`` in a command is that command's failure, and
#: nothing to end others for.
RAISED = (Exception, SystemExit, CancelledError)

_CODE = re.compile(r"[a-z][a-z0-9-]*")


class CommandError(Exception):
    """A command is not carried out, and the peer is told why.

    Handlers raise it; the peer reads ``ERR code text``.

    :param code: what went wrong, for programs: lower case letters, digits and hyphens.
    :param text: what went wrong, for people; one line.
    :raises ValueError: for a code of another shape.
    """

    def __init__(self, code: str, text: str) -> None:
        if not _CODE.fullmatch(code):
            raise ValueError(f"code {code!r}: expected lower case letters, digits and hyphens")
        super().__init__(code, text)
        self.code = code
        self.text = " ".join(text.split())

    def __str__(self) -> str:
        return f"{self.code} {self.text}".rstrip()


class DefinitionError(Exception):
    """A program's mistake in the definition of a command; says which and what is expected."""
