"""The commands of memcached's text protocol, on a store."""

import re
from collections.abc import Callable, Iterator
from itertools import chain

from netsuite.line._arguments import Block, Words
from netsuite.line._errors import CommandError
from netsuite.line._session import Session
from netsuite.line.app import LineApp
from netsuite.line.kv._statistics import VERSION, Statistics
from netsuite.line.kv._store import Item, NotANumberError, Store, TooLargeError
from netsuite.line.kv._wire import (
    BAD_CHUNK,
    BAD_DELETE,
    BAD_DELTA,
    BAD_EXPIRY,
    BAD_FORMAT,
    BAD_NUMBER,
    DELETED,
    END,
    ERROR,
    EXISTS,
    KEY_LENGTH,
    NO_MEMORY,
    NOT_FOUND,
    NOT_STORED,
    OK,
    RESET,
    STORED,
    TOO_LARGE,
    TOO_LONG,
    TOUCHED,
    block_length,
    cas_length,
    flags_of,
    quiet,
    signed,
    unsigned,
    words_of,
)

_AT_ONCE = 64 * 1024  # bytes of a reply; more of them are taken as the peer reads
_LINE_END = b"\r\n"
_NONE = b"0"

#: How commands of memcached's begin that are not ours, or are misspelt: they are no HTTP.
_KNOWN = re.compile(rb"[gsacidt]|m.\Z", re.DOTALL)

_Look = Callable[[bytes], Item | None]
_Reply = bytes | Iterator[bytes]


def error_reply(error: CommandError) -> bytes:
    """What is said where no command has anything to say.

    A peer whose time is over is told nothing: it would take it for the next reply.
    """
    match error.code:
        case "timeout":
            return b""
        case "line-too-long":
            return TOO_LONG
        case _:
            return b"SERVER_ERROR %b\r\n" % error.text.encode("utf-8", "replace")


def unknown(session: Session, line: bytes) -> bytes:
    """Refuse what is no command; close a connection that speaks HTTP."""
    words = words_of(line)
    name = words[0] if words else b""
    if len(name) > 1 and not _KNOWN.match(name) and words[-1].startswith(b"HTTP/"):
        session.close()
        return b""
    return ERROR


class StoreCommands:
    """The commands that read and write a store; an extension of a :class:`LineApp`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._get = store.get
        self._set = store.set
        self._statistics = Statistics(store)

    def install(self, app: LineApp) -> None:
        """Add the commands to an application."""
        app.on_connect.append(self._statistics.connected)
        for name in ("get", "gets", "gat", "gats", "delete", "incr", "decr", "touch"):
            app.command(name)(getattr(self, name))
        for name in ("flush_all", "stats", "version", "verbosity", "quit"):
            app.command(name)(getattr(self, name))
        for name in ("set", "add", "replace", "append", "prepend"):
            app.command(name, length=block_length)(getattr(self, name))
        app.command("bget")(self.get)
        app.command("cas", length=cas_length)(self.cas)

    # Reading.

    def get(self, words: Words) -> _Reply:
        """Give values: ``get <key>+``."""
        if len(words) != 2:
            return self._several(words[1:], self._get) if len(words) > 2 else ERROR
        key = words[1]
        if len(key) > KEY_LENGTH:
            return BAD_FORMAT
        item = self._get(key)
        if item is None:
            return END
        value = item[0]
        return b"VALUE %b %d %d\r\n%b\r\nEND\r\n" % (key, item[1], len(value), value)

    def gets(self, words: Words) -> _Reply:
        """Give values and the numbers that cas asks for: ``gets <key>+``."""
        return self._several(words[1:], self._get, unique=True) if len(words) > 1 else ERROR

    def gat(self, words: Words) -> _Reply:
        """Give values, which then expire at another time: ``gat <exptime> <key>+``."""
        return self._touched(words, unique=False)

    def gats(self, words: Words) -> _Reply:
        """Give the numbers that cas asks for, too: ``gats <exptime> <key>+``."""
        return self._touched(words, unique=True)

    def _touched(self, words: list[bytes], *, unique: bool) -> _Reply:
        if len(words) < 2:
            return ERROR
        try:
            expires = signed(words[1])
        except ValueError:
            return BAD_EXPIRY
        store = self._store
        return self._several(
            words[2:], lambda key: store.get_and_touch(key, expires), unique=unique
        )

    def _several(self, keys: list[bytes], look: _Look, *, unique: bool = False) -> _Reply:
        """The values of some keys: at once, or as the peer reads if they are much."""
        long = [index for index, key in enumerate(keys) if len(key) > KEY_LENGTH]
        if long:
            for key in keys[: long[0]]:
                look(key)
            return BAD_FORMAT
        values = _values(keys, look, unique)
        begin: list[bytes] = []
        size = 0
        for value in values:
            begin.append(value)
            size += len(value)
            if size > _AT_ONCE:
                return chain([b"".join(begin)], values)
        return b"".join(begin)

    # Storing.

    def set(self, words: Words, block: Block = b"") -> bytes:
        """Store a value: ``set <key> <flags> <exptime> <bytes> [noreply]``."""
        if block[-2:] != _LINE_END:
            return self._unfit(words, block)
        try:
            if words[2] == words[3] == _NONE:
                self._set(words[1], block[:-2])
            else:
                self._set(words[1], block[:-2], flags_of(words[2]), signed(words[3]))
        except TooLargeError:
            return b"" if quiet(words) else NO_MEMORY
        return b"" if quiet(words) else STORED

    def add(self, words: Words, block: Block = b"") -> bytes:
        """Store a value where there is none; like set."""
        return self._store_if(self._store.add, words, block)

    def replace(self, words: Words, block: Block = b"") -> bytes:
        """Store a value where there is one; like set."""
        return self._store_if(self._store.replace, words, block)

    def append(self, words: Words, block: Block = b"") -> bytes:
        """Put bytes behind a value; like set, but flags and exptime stay."""
        return self._store_if(lambda key, value, *_: self._store.append(key, value), words, block)

    def prepend(self, words: Words, block: Block = b"") -> bytes:
        """Put bytes before a value; like set, but flags and exptime stay."""
        return self._store_if(lambda key, value, *_: self._store.prepend(key, value), words, block)

    def cas(self, words: Words, block: Block = b"") -> bytes:
        """Store a value unless it was stored since: like set, with its number behind the length."""

        def store(key: bytes, value: bytes, flags: int, expires: int) -> bool | None:
            return self._store.cas(key, value, flags, expires, unsigned(words[5]))

        return self._store_if(store, words, block, EXISTS)

    def _store_if(
        self,
        store: Callable[[bytes, bytes, int, int], bool | None],
        words: list[bytes],
        block: bytes,
        refused: bytes = NOT_STORED,
    ) -> bytes:
        if block[-2:] != _LINE_END:
            return self._unfit(words, block)
        try:
            stored = store(words[1], block[:-2], flags_of(words[2]), signed(words[3]))
        except TooLargeError:
            return b"" if quiet(words) else NO_MEMORY
        if quiet(words):
            return b""
        return STORED if stored else NOT_FOUND if stored is None else refused

    def _unfit(self, words: list[bytes], block: bytes) -> bytes:
        """Why nothing is stored: of the line, of the block, or of both."""
        length, least = (cas_length, 6) if words[0] == b"cas" else (block_length, 5)
        if not least <= len(words) <= least + 1:
            return ERROR
        counts = self._store.counts
        if block:
            counts.cmd_set += 1
            reply = BAD_CHUNK
        elif length(words) is None:
            reply = BAD_FORMAT
        else:
            counts.store_too_large += 1
            if words[0] == b"set":
                self._store.discard(words[1])  # it is what nobody wants any more
            reply = TOO_LARGE
        return b"" if quiet(words) else reply

    # Changing.

    def incr(self, words: Words) -> bytes:
        """Count up: ``incr <key> <delta> [noreply]``."""
        return self._count(self._store.incr, words)

    def decr(self, words: Words) -> bytes:
        """Count down, to 0 at least: ``decr <key> <delta> [noreply]``."""
        return self._count(self._store.decr, words)

    def _count(self, count: Callable[[bytes, int], int | None], words: list[bytes]) -> bytes:
        if not 3 <= len(words) <= 4:
            return ERROR
        reply = self._counted(count, words[1], words[2])
        return b"" if quiet(words) else reply

    def _counted(
        self, count: Callable[[bytes, int], int | None], key: bytes, delta: bytes
    ) -> bytes:
        if len(key) > KEY_LENGTH:
            return BAD_FORMAT
        try:
            number = count(key, unsigned(delta))
        except NotANumberError:
            return BAD_NUMBER
        except ValueError:
            return BAD_DELTA
        except TooLargeError:
            return NO_MEMORY
        return NOT_FOUND if number is None else b"%d\r\n" % number

    def touch(self, words: Words) -> bytes:
        """Have a value expire at another time: ``touch <key> <exptime> [noreply]``."""
        if not 3 <= len(words) <= 4:
            return ERROR
        if len(words[1]) > KEY_LENGTH:
            reply: bytes = BAD_FORMAT
        else:
            try:
                there = self._store.touch(words[1], signed(words[2]))
                reply = TOUCHED if there else NOT_FOUND
            except ValueError:
                reply = BAD_EXPIRY
        return b"" if quiet(words) else reply

    def delete(self, words: Words) -> bytes:
        """Forget a value: ``delete <key> [0] [noreply]``."""
        if not 2 <= len(words) <= 4:
            return ERROR
        if len(words) == 2:
            return self._deleted(words[1])
        as_it_was = words[2] == b"0"  # once seconds during which nobody could add it again
        fits = as_it_was or quiet(words) if len(words) == 3 else as_it_was and quiet(words)
        reply = self._deleted(words[1]) if fits else BAD_DELETE
        return b"" if quiet(words) else reply

    def _deleted(self, key: bytes) -> bytes:
        if len(key) > KEY_LENGTH:
            return BAD_FORMAT
        return DELETED if self._store.delete(key) else NOT_FOUND

    def flush_all(self, words: Words) -> bytes:
        """Forget all values, now or later: ``flush_all [exptime] [noreply]``."""
        if len(words) > 3:
            return ERROR
        self._store.counts.cmd_flush += 1
        is_quiet = quiet(words)
        reply = OK
        try:
            self._store.flush(signed(words[1]) if len(words) > 1 + is_quiet else 0)
        except ValueError:
            reply = BAD_EXPIRY
        return b"" if is_quiet else reply

    # The rest.

    def stats(self, words: Words) -> bytes:
        """Give statistics: ``stats [settings|items|slabs|sizes|reset]``."""
        if len(words) == 1:
            return self._statistics.general()
        if words[1] == b"reset":
            self._store.reset()
            self._statistics.reset()
            return RESET
        return self._statistics.of(words[1].decode("ascii", "replace")) or ERROR

    def version(self, words: Words) -> bytes:
        """Give the version of memcached that this is like, and ours."""
        return b"VERSION %b\r\n" % VERSION.encode()

    def verbosity(self, words: Words) -> bytes:
        """Take a level without any effect: ``verbosity <level> [noreply]``."""
        if not 2 <= len(words) <= 3:
            return ERROR
        reply = OK
        try:
            unsigned(words[1])
        except ValueError:
            reply = BAD_FORMAT
        return b"" if quiet(words) else reply

    def quit(self, session: Session, words: Words) -> bytes:
        """Close the connection."""
        session.close()
        return b""


def _values(keys: list[bytes], look: _Look, unique: bool) -> Iterator[bytes]:
    for key in keys:
        item = look(key)
        if item is None:
            continue
        value, flags, _, number = item
        if unique:
            yield b"VALUE %b %d %d %d\r\n%b\r\n" % (key, flags, len(value), number, value)
        else:
            yield b"VALUE %b %d %d\r\n%b\r\n" % (key, flags, len(value), value)
    yield END
