"""Properties that hold for any input, searched for counterexamples."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsuite.echo._wire import MAX_QUOTE, parse_quotes
from netsuite.net import TokenBuckets
from netsuite.net.endpoints import EndpointError, parse_port, server_endpoint
from netsuite.service import json_line

pytestmark = pytest.mark.once


@given(
    rate=st.floats(0.1, 1000),
    burst=st.floats(1, 100),
    steps=st.lists(st.floats(0, 10), min_size=1, max_size=100),
)
def test_a_bucket_never_gives_more_than_burst_and_rate(
    rate: float, burst: float, steps: list[float]
) -> None:
    buckets = TokenBuckets(rate, burst)
    now, taken = 0.0, 0
    for step in steps:
        now += step
        taken += buckets.take("a", now)
    assert taken <= burst + rate * now + 1e-6


@given(st.text())
def test_a_port_is_digits_or_an_error(text: str) -> None:
    try:
        number = parse_port(text)
    except EndpointError:
        assert not (text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= 65535)
    else:
        assert str(number) == text.lstrip("0") or (number == 0 and set(text) == {"0"})


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_no_endpoint_string_raises_anything_but_its_error(text: str) -> None:
    # One prefix runs a program's worth of plugins less: the parsers are what is tried here.
    for description in (text, f"tcp:{text}", f"dualstack:{text}", f"unix:/tmp/{text}"):
        with suppress(EndpointError):
            server_endpoint(object(), description)


@given(st.text())
def test_quotes_are_bounded_or_an_error(text: str) -> None:
    try:
        quotes = parse_quotes(text)
    except ValueError:
        return
    assert quotes
    assert all(quote.isascii() and len(quote) <= MAX_QUOTE for quote in quotes)


@given(
    st.dictionaries(
        st.text(),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    )
)
def test_any_event_is_one_line_of_flat_json(event: dict[str, object]) -> None:
    line = json_line(dict(event, log_time=0.0))
    assert line is not None
    assert line.endswith("\n")
    assert line.count("\n") == 1
    loaded = json.loads(line)
    assert all(not isinstance(value, dict | list) for value in loaded.values())
