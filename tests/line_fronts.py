"""An application for tests of telnet, SSH and stdio: ``--app tests.line_fronts:app``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from twisted.internet.task import deferLater

from netsuite.line import Block, LineApp, Rest, Session

app = LineApp("calc", greeting="calc is ready")

_pulled = 0


@app.command()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@app.command()
def paint(colour: Literal["red", "green", "grey"]) -> str:
    """Paint."""
    return colour


@app.command()
def say(text: Rest) -> str:
    """Say it back."""
    return text


@app.command()
def store(key: str, data: Block) -> int:
    """How many bytes there are."""
    return len(data)


@app.command()
def fill(lines: int) -> Iterator[str]:
    """Give many lines of a hundred bytes."""
    global _pulled  # noqa: PLW0603 - there is one application
    for _ in range(lines):
        _pulled += 1
        yield "x" * 98


@app.command()
def pulled() -> int:
    """How many of those were asked for."""
    return _pulled


@app.command()
async def hold(session: Session, path: str) -> str:
    """Wait until there is a file."""
    Path(f"{path}.held").touch()
    while not Path(path).exists():
        await deferLater(session.clock, 0.01)
    return "held"


@app.command()
def who(session: Session) -> str:
    """Say who asks."""
    return f"{session.user} {','.join(sorted(session.roles))} {session.secure} {session.host}"


@app.command(roles=["admin"])
def reset() -> None:
    """Only for some."""


@app.command(secret=True)
def secret(word: Rest) -> None:
    """Take something that nobody is to see."""
