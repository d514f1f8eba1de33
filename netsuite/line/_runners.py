"""Commands that run at once: the words of a line in, what the function gives out.

This is the byte path of the common case, so there is one runner for each number of
arguments: unpacking and calling are cheaper than loops.
"""

from collections.abc import Callable
from operator import call
from typing import Any

from netsuite.line._arguments import Signature

#: The session and the words of a line, the command's name among them; then perhaps a block.
Runner = Callable[..., Any]

#: As a number of words: as many as there are, and those with a block behind the line.
ANY = -1
WITH_BLOCK = -2


class UnfitError(Exception):
    """A word is not what is wanted; the general path says what is wrong with it."""


def unfit(_: Any, words: list[bytes]) -> Any:
    """The runner of commands whose lines need a closer look."""
    raise UnfitError


def runner_of(function: Callable[..., Any], signature: Signature) -> tuple[Runner, int] | None:
    """What runs a command and how many words it wants; None if lines need a closer look.

    A runner is for lines without quotes and without underscores, which ``int`` takes and we
    do not. It raises :class:`UnfitError` before it calls the function, or never.
    """
    if signature.words and not signature.block:
        return _of_words(function, signature.session), ANY
    if signature.words:
        return _of_words_and_block(function, signature.session), WITH_BLOCK
    if signature.rest or signature.block or signature.lines:
        return None
    if not all(each.required and not each.repeated for each in signature.parameters):
        return None
    converters = [_quick(each.convert, each.type) for each in signature.parameters]
    if signature.session:
        runner = _with_session(function, converters)
    elif len(converters) < len(_RUNNERS):
        runner = _RUNNERS[len(converters)](function, *converters)
    else:
        runner = _of_many(function, converters)
    return runner, len(converters) + 1


def _quick(convert: Callable[[bytes], object], kind: str) -> Callable[[bytes], Any]:
    return int if kind == "int" else convert


def _of_words(function: Callable[..., Any], session: bool) -> Runner:
    if session:
        return function
    return lambda _, words: function(words)


def _of_words_and_block(function: Callable[..., Any], session: bool) -> Runner:
    if session:
        return function
    return lambda _, *given: function(*given)


def _of_none(function: Callable[..., Any]) -> Runner:
    def run(_: Any, words: list[bytes]) -> Any:
        return function()

    return run


def _of_one(function: Callable[..., Any], convert: Callable[[bytes], Any]) -> Runner:
    def run(_: Any, words: list[bytes]) -> Any:
        try:
            value = convert(words[1])
        except ValueError:
            raise UnfitError from None
        return function(value)

    return run


def _of_two(
    function: Callable[..., Any], first: Callable[[bytes], Any], second: Callable[[bytes], Any]
) -> Runner:
    def run(_: Any, words: list[bytes]) -> Any:
        _, one, two = words
        try:
            one, two = first(one), second(two)
        except ValueError:
            raise UnfitError from None
        return function(one, two)

    return run


def _of_many(function: Callable[..., Any], converters: list[Callable[[bytes], Any]]) -> Runner:
    def run(_: Any, words: list[bytes]) -> Any:
        try:
            values = [*map(call, converters, words[1:])]
        except ValueError:
            raise UnfitError from None
        return function(*values)

    return run


def _with_session(function: Callable[..., Any], converters: list[Callable[[bytes], Any]]) -> Runner:
    def run(session: Any, words: list[bytes]) -> Any:
        try:
            values = [*map(call, converters, words[1:])]
        except ValueError:
            raise UnfitError from None
        return function(session, *values)

    return run


_RUNNERS: tuple[Callable[..., Runner], ...] = (_of_none, _of_one, _of_two)
