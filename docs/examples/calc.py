"""A calculator that speaks lines: ``netsuite line --app calc:app``."""

from collections.abc import Iterator

from netsuite.line import CommandError, LineApp

app = LineApp("calc", greeting="calc 1.0, HELP says more")


@app.command(aliases=["PLUS"])
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@app.command()
def div(a: float, b: float) -> float:
    """Divide one number by another."""
    if b == 0:
        raise CommandError("bad-argument", "b: expected another number than 0")
    return a / b


@app.command()
def squares(upto: int) -> Iterator[str]:
    """List the squares of the first numbers."""
    return (f"{n} {n * n}" for n in range(upto))
