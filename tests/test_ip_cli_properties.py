"""Properties of ``netsuite ip`` that hold for any input."""

from io import BytesIO, StringIO
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsuite.ip import IPSet
from netsuite.ip.cli import Streams, main
from netsuite.ip.cli._input import blocks
from netsuite.ip.cli._scan import Scanner
from netsuite.ip.cli._sets import free_prefixes

pytestmark = pytest.mark.once


def grep(*arguments: str, given: bytes) -> list[str]:
    """The lines that ``netsuite ip grep`` prints."""
    output, errors = BytesIO(), StringIO()
    main(["grep", *arguments], Streams(BytesIO(given), output, errors))
    assert not errors.getvalue()
    return output.getvalue().decode("latin-1").split("\n")[:-1]


@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(24, 32)), min_size=1, max_size=12),
    st.integers(24, 32),
    st.sampled_from(["first", "smallest"]),
)
def test_free_prefixes_are_those_of_one_by_one(
    used: list[tuple[int, int]], length: int, policy: str
) -> None:
    taken = [IPv4Network((0x0A000000 | low, each), strict=False) for low, each in used]
    left = IPSet([IPv4Network("10.0.0.0/24")]) - IPSet(taken)
    found = [
        IPv4Network((first, each)) for first, each, _ in free_prefixes(left, length, 4, policy)
    ]
    for network in found:
        step = left.free_prefix(length, policy=policy)
        assert step is not None
        assert step[0] == network
        left = step[1]
    assert left.free_prefix(length, policy=policy) is None


@given(st.binary(max_size=200) | st.text("0123456789abf:./ \n", max_size=80).map(str.encode))
def test_no_bytes_crash_grep_and_lines_are_kept(data: bytes) -> None:
    wanted = "0.0.0.0/1,::/1"
    lines = data.decode("latin-1").split("\n")
    lines = lines if lines[-1] else lines[:-1]
    assert sorted(grep(wanted, given=data) + grep("-v", wanted, given=data)) == sorted(lines)


@given(st.lists(st.ip_addresses(), min_size=1, max_size=8))
def test_every_way_to_write_an_address_is_found(addresses: list[IPv4Address | IPv6Address]) -> None:
    everything = IPSet([IPv4Network("0.0.0.0/0"), IPv6Network("::/0")])
    data = "\n" + "".join(
        f"{address} [{address}] {address.exploded.upper()}, {address}: x\n" for address in addresses
    )
    found = [data[start:end] for start, end in Scanner(everything).matches(data.encode())]
    assert found == [
        each
        for address in addresses
        for each in (str(address), str(address), address.exploded.upper(), str(address))
    ]


@given(st.binary(max_size=60), st.integers(1, 9))
def test_blocks_are_whole_lines(data: bytes, size: int) -> None:
    found = list(blocks(BytesIO(data), size))
    ended = data if not data or data.endswith(b"\n") else data + b"\n"
    assert b"".join(found) == ended
    assert all(block.endswith(b"\n") for block in found)
