"""Who may come in: an ordered list of rules, the first that matches decides."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from ipaddress import IPv6Network

from netsuite.ip._errors import AddressError
from netsuite.ip._range import IPRange
from netsuite.ip._rate import IPAddress

_WORDS = {"allow": True, "deny": False}
_RULE = '"allow" or "deny", then addresses or "all"'
_DEFAULT = '"default allow" or "default deny", once'
_ADDRESSES = "an address, a network, or a range such as 192.0.2.5-192.0.2.9, without a zone"

_MAPPED = IPRange.of(IPv6Network("::ffff:0:0/96"))  # RFC 4291 section 2.5.5.2
_LOW_32 = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Rule:
    """One line: whether some addresses may come in.

    :ivar allowed: whether they may.
    :ivar addresses: which; None for all, of both families.
    :ivar line: the number of the line that it was read from; rules that differ in nothing
        else are equal.
    """

    allowed: bool
    addresses: IPRange | None = None
    line: int | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, text: str, line: int | None = None) -> "Rule":
        """The rule that a text such as ``allow 192.0.2.0/24`` or ``deny all`` is.

        Addresses are what :meth:`IPRange.parse <netsuite.ip.IPRange.parse>` takes.

        :raises AddressError: for anything else.
        """
        word, _, rest = text.strip().replace("\t", " ").partition(" ")
        addresses = rest.strip()
        if word not in _WORDS or not addresses:
            raise AddressError(text, _RULE)
        if "%" in addresses:
            raise AddressError(text, _ADDRESSES)
        found = None if addresses == "all" else IPRange.parse(addresses)
        return cls(_WORDS[word], found, line)

    def __str__(self) -> str:
        addresses = "all"
        if self.addresses is not None:
            single = self.addresses.size == 1
            addresses = str(
                self.addresses.first if single else self.addresses.prefix or self.addresses
            )
        return f"{'allow' if self.allowed else 'deny'} {addresses}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What an access list says of an address, and why; ``str()`` is for logs.

    :ivar allowed: whether it may come in.
    :ivar rule: the rule that decided, or None if that was the default.
    """

    allowed: bool
    rule: Rule | None

    def __str__(self) -> str:
        answer = "allowed" if self.allowed else "denied"
        if self.rule is None:
            return f"{answer} by default"
        line = "" if self.rule.line is None else f", line {self.rule.line}"
        return f'{answer} by "{self.rule}"{line}'


@dataclass(frozen=True, init=False)
class AccessList:
    """Rules in order and what holds where none matches. Immutable.

    An IPv4-mapped IPv6 peer (RFC 4291 section 2.5.5.2: an IPv4 client of a dual-stack socket)
    is an IPv4 peer: the IPv4 rules and ``all`` match it, ``::/0`` does not. Rules for mapped
    addresses are taken as the IPv4 rules that they mean. Zones of peers are ignored.

    As text there is a rule on each line, ``#`` begins a comment, and one line may be ``default
    allow`` or ``default deny``; ``str()`` gives a text that makes an equal list::

        allow 192.0.2.0/24        # the office
        allow 2001:db8::5-2001:db8::9
        deny all

    Asking takes a fraction of a microsecond, however many rules there are.

    :param rules: the rules; the first that matches decides.
    :param default: whether an address may come in that no rule matches.
    """

    rules: tuple[Rule, ...]
    default: bool
    _segments: dict[int, tuple[Sequence[int], Sequence[Decision]]] = field(
        repr=False, compare=False
    )

    def __init__(self, rules: Iterable[Rule] = (), *, default: bool = False) -> None:
        rules = tuple(rules)
        object.__setattr__(self, "rules", rules)
        object.__setattr__(self, "default", default)
        segments = {version: _segments(rules, default, version) for version in (4, 6)}
        object.__setattr__(self, "_segments", segments)

    @classmethod
    def from_text(cls, text: str, name: str = "") -> "AccessList":
        """The list that a text says. See :meth:`from_lines`."""
        return cls.from_lines(text.splitlines(), name)

    @classmethod
    def from_lines(cls, lines: Iterable[str], name: str = "") -> "AccessList":
        """The list that lines say, those of an open file for example.

        :param name: what to call the lines in an error: the file's name.
        :raises AddressError: at the first line that is wrong, with its number.
        """
        rules: list[Rule] = []
        default: bool | None = None
        for number, line in enumerate(lines, 1):
            text = " ".join(line.partition("#")[0].split())
            if not text:
                continue
            try:
                if text.startswith("default"):
                    default = _parse_default(text, default)
                else:
                    rules.append(Rule.parse(text, number))
            except AddressError as error:
                where = f"{name}, line {number}" if name else f"line {number}"
                raise AddressError(text, f"{error.expected} ({where})") from None
        return cls(rules, default=bool(default))

    def decide(self, address: IPAddress) -> Decision:
        """Whether an address may come in, and which rule says so."""
        value, version = int(address), address.version
        if version == 6 and value >> 32 == 0xFFFF:
            value, version = value & _LOW_32, 4
        starts, decisions = self._segments[version]
        return decisions[bisect_right(starts, value) - 1]

    def __str__(self) -> str:
        default = "default allow" if self.default else "default deny"
        return "".join(f"{line}\n" for line in (*self.rules, default))


def _parse_default(text: str, before: bool | None) -> bool:
    word = text.removeprefix("default ")
    if word not in _WORDS or before is not None:
        raise AddressError(text, _DEFAULT)
    return _WORDS[word]


def _segments(
    rules: Sequence[Rule], default: bool, version: int
) -> tuple[list[int], list[Decision]]:
    """One family's addresses cut where another rule begins to decide.

    :returns: where each piece starts, and the decision for it; equal neighbours are one.
    """
    spans = sorted(_spans(rules, version))
    points = sorted({0, *(first for first, _, _ in spans), *(last + 1 for _, last, _ in spans)})
    decisions = [Decision(rule.allowed, rule) for rule in rules]
    starts: list[int] = []
    found: list[Decision] = []
    by_default = Decision(default, None)
    matching: list[tuple[int, int]] = []  # a heap of rules that have begun: index, last
    next_span = 0
    for point in points:
        while next_span < len(spans) and spans[next_span][0] == point:
            _, last, index = spans[next_span]
            heappush(matching, (index, last))
            next_span += 1
        while matching and matching[0][1] < point:
            heappop(matching)
        decision = decisions[matching[0][0]] if matching else by_default
        if not found or found[-1] is not decision:
            starts.append(point)
            found.append(decision)
    return starts, found


def _spans(rules: Sequence[Rule], version: int) -> Iterable[tuple[int, int, int]]:
    """First, last and index of each rule that has something to say of a family."""
    for index, rule in enumerate(rules):
        addresses = rule.addresses
        if addresses is None:
            yield 0, 2 ** (32 if version == 4 else 128) - 1, index
            continue
        first, last, family = int(addresses.first), int(addresses.last), addresses.version
        if addresses in _MAPPED:
            first, last, family = first & _LOW_32, last & _LOW_32, 4
        if family == version:
            yield first, last, index
