"""Replies of several lines, one line at a time, wherever the lines come from."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

from netsuite.line._replies import ReplyError

#: What :func:`pulled` gives when there are no more lines.
NO_MORE = object()

Lines = Iterator[str] | AsyncIterator[str]


def lines_of(value: object) -> Lines:
    """What gives lines.

    :param value: None for no lines.
    :raises ReplyError: for what gives none.
    """
    if value is None:
        return iter(())
    if isinstance(value, AsyncIterable):
        return aiter(value)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return iter(value)
    raise ReplyError(f"{type(value).__name__} gives no lines: expected an iterable of str")


async def pulled(lines: AsyncIterator[str]) -> object:
    """The next line, or :data:`NO_MORE`."""
    try:
        return await anext(lines)
    except StopAsyncIteration:
        return NO_MORE
