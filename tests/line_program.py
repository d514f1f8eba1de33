"""An application for tests of line services: what ``--app tests.line_program:app`` is."""

from collections.abc import Iterator
from pathlib import Path

from twisted.internet.task import deferLater

from netsuite.line import Block, LineApp, Session

app = LineApp("program")


@app.command()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@app.command()
def count(upto: int) -> Iterator[str]:
    """Count, a line a number."""
    yield from map(str, range(upto))


@app.command()
def size(data: Block) -> int:
    """How many bytes there are."""
    return len(data)


@app.command()
async def hold(session: Session, path: str) -> str:
    """Wait until there is a file."""
    while not Path(path).exists():
        await deferLater(session.clock, 0.01)
    return "held"


@app.command()
def who(session: Session) -> str:
    """Say who asks."""
    return f"{session.host} {'secure' if session.secure else 'in the clear'}"


@app.command()
def fail() -> None:
    """Have a bug."""
    raise RuntimeError("a bug, and a secret")
