"""The line application that is measured: two whole numbers in, their sum out.

Limits and the order of replies are on, as they are by themselves.
"""

from netsuite.line import LineApp

app = LineApp("sums")


@app.command()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b
