"""Step 1: a command."""

from netsuite.line import LineApp

app = LineApp("calculator", greeting="calculator ready")


@app.command(aliases=["PLUS"])
def add(*numbers: float) -> float:
    """Add numbers."""
    return sum(numbers)
