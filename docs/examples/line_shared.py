"""Step 5: names that all have in common, and roles for those who may change them."""

from collections.abc import Iterator

from netsuite.line import CommandError, Limits, LineApp, Session

MOST_NAMES = 1000

app = LineApp("calculator", greeting="calculator ready", limits=Limits(line_length=1000))
values: dict[str, float] = {}


@app.command()
def add(*words: str) -> float:
    """Add numbers, and what has a name."""
    return sum(map(value_of, words))


@app.command(roles=["editor"])
def let(session: Session, name: str, value: float) -> None:
    """Give a number a name, for everybody."""
    if len(values) >= MOST_NAMES and name not in values:
        raise CommandError("too-many-names", f"expected at most {MOST_NAMES}")
    values[name] = value


@app.command()
def names() -> Iterator[str]:
    """List the names."""
    return (f"{name} = {value:g}" for name, value in sorted(values.items()))


def value_of(word: str) -> float:
    """What a word stands for."""
    if word in values:
        return values[word]
    try:
        return float(word)
    except ValueError:
        raise CommandError("no-such-name", f"{word}: NAMES lists them") from None
