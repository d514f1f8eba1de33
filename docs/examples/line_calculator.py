"""Step 2: errors, sessions, replies of several lines, and what takes its time."""

from collections.abc import Iterator

from twisted.internet.threads import deferToThread

from netsuite.line import CommandError, Limits, LineApp, Session

MOST_NAMES = 100

app = LineApp("calculator", greeting="calculator ready", limits=Limits(line_length=1000))


@app.command(aliases=["PLUS"])
def add(*numbers: float) -> float:
    """Add numbers."""
    return sum(numbers)


@app.command()
def div(a: float, b: float) -> float:
    """Divide one number by another."""
    if b == 0:
        raise CommandError("division-by-zero", "b: expected another number than 0")
    return a / b


@app.command()
def let(session: Session, name: str, value: float) -> None:
    """Give a number a name, on this connection."""
    if len(session.state) >= MOST_NAMES and name not in session.state:
        raise CommandError("too-many-names", f"expected at most {MOST_NAMES}")
    session.state[name] = value


@app.command()
def names(session: Session) -> Iterator[str]:
    """List the names."""
    return (f"{name} = {value:g}" for name, value in sorted(session.state.items()))


@app.command(parallel=True)
async def factor(number: int) -> str:
    """Find the prime factors of a number."""
    if not 2 <= number < 10**14:
        raise CommandError("bad-argument", f"number {number}: expected 2 to 99999999999999")
    return " ".join(map(str, await deferToThread(factors, number)))


def factors(number: int) -> list[int]:
    """The prime factors of a number, the least one first."""
    found, divisor = [], 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return [*found, number] if number > 1 else found
