"""``netsuite line connect`` as a process: its reactor, its signals, its exit status."""

import getpass
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib.util import find_spec
from typing import Any, TextIO

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from netsuite._command_line import EXIT_OUTPUT_GONE, EXIT_TROUBLE, abandon
from netsuite.line._shell import Conversation, Pipe, Screen, Watch, check, client_of
from netsuite.line._shell_hints import with_hint
from netsuite.line._shell_input import Input, InputError
from netsuite.line._shell_options import (
    ConnectOptions,
    Trouble,
    options_of,
    password_of_environment,
)
from netsuite.line._shell_prompt import BareEditor, ToolkitEditor
from netsuite.line.client import LineClient, LineClientError
from netsuite.net.aio import loop_of

_REACTOR = "twisted.internet.reactor"
_INTERRUPTED = 128 + signal.SIGINT


def connect(arguments: Sequence[str]) -> int:
    """Run the tool.

    :param arguments: without ``netsuite line connect``.
    :returns: the exit status.
    """
    try:
        options = _options(arguments)
        talks = not options.commands and _is_terminal(sys.stdin) and _is_terminal(sys.stdout)
        password = _password(options)
        if options.history is not None:
            _make(options.history)
        reactor = _reactor(talks)
        session = (_Talk if talks else _Piped)(options, password, reactor)
        return _run(reactor, session.main, session.interrupt)
    except (Trouble, InputError) as trouble:
        _abandon_output()
        return _complain(str(trouble))
    except LineClientError as error:
        return _complain(f"{options.server}: {with_hint(error, options)}")
    except BrokenPipeError:
        # Whoever read our output has seen enough; we end as the signal would have ended us.
        _abandon_output()
        return EXIT_OUTPUT_GONE
    except KeyboardInterrupt:
        return _INTERRUPTED


def _options(arguments: Sequence[str]) -> ConnectOptions:
    """The options, and whether there is all that they need.

    :raises Trouble: if not.
    """
    options = options_of(arguments)
    if sys.stdout is None:
        raise Trouble("output: it is closed")
    if sys.stdin is None and not options.commands:
        raise Trouble("standard input: it is closed")
    for number, line in enumerate(options.commands, 1):
        if line.strip():
            check(line, f"--command, number {number}")
    return options


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _complain(text: str) -> int:
    Screen(sys.stdout, False, sys.stderr).note(text)
    return EXIT_TROUBLE


def _password(options: ConnectOptions) -> str | None:
    if options.user is None:
        return None
    found = password_of_environment()
    if found is not None:
        return found
    if not _is_terminal(sys.stdin):
        raise Trouble(f"--user {options.user}: expected the password in NETSUITE_LINE_PASSWORD")
    try:
        return getpass.getpass(f"Password for {options.user}: ")
    except EOFError:
        raise Trouble(f"--user {options.user}: expected a password") from None


def _make(path: str) -> None:
    """Have the file of the history, for its owner alone."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError as error:
        raise Trouble(f"--history {path}: {error.strerror}") from None


def _reactor(talks: bool) -> Any:
    """The reactor: for a prompt one with an asyncio loop, unless there is one already."""
    if talks and _REACTOR not in sys.modules and _has_toolkit():
        from twisted.internet import asyncioreactor  # noqa: PLC0415 - it makes a loop

        asyncioreactor.install()
    from twisted.internet import reactor

    return reactor


def _has_toolkit() -> bool:
    return find_spec("prompt_toolkit") is not None


def _run(
    reactor: Any,
    main: Callable[[], Coroutine[Any, Any, int]],
    interrupt: Callable[[], object],
) -> int:
    """Run the reactor until the coroutine has ended; its result."""
    results: list[int | Failure] = []

    def start() -> None:
        deferred = Deferred.fromCoroutine(main())
        deferred.addBoth(results.append)
        deferred.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    before = signal.signal(signal.SIGINT, lambda *_: reactor.callFromThread(interrupt))
    try:
        reactor.run(installSignalHandlers=False)
    finally:
        signal.signal(signal.SIGINT, before)
    (result,) = results
    if isinstance(result, int):
        return result
    raise result.value or AssertionError(result)


def _abandon_output() -> None:
    """Let what could not be written go nowhere: Python would try again at its end."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        pass
    else:
        return
    abandon(sys.stdout.fileno())


async def _connect(client: LineClient, options: ConnectOptions, reactor: Any) -> None:
    watch = Watch(reactor, options.timeout)
    await watch.over(client.connect(), f"{options.server}: no connection within")


class _Piped:
    """Commands from a file, a pipe, or the options."""

    def __init__(self, options: ConnectOptions, password: str | None, reactor: Any) -> None:
        self._options = options
        self._reactor = reactor
        self._screen = Screen(sys.stdout, _is_terminal(sys.stdout), sys.stderr)
        self._over: Deferred[None] = Deferred()
        self._running: Deferred[int] | None = None
        self._why: Exception | None = None
        self._unwritten: Exception | None = None
        self._client = client_of(
            options, reactor, password,
            timeout=options.timeout, reconnect=False,
            on_lost=self._lost, on_push=self._pushed if options.follow else None,
        )  # fmt: skip

    async def main(self) -> int:
        """Give the commands."""
        self._running = Deferred.fromCoroutine(self._talk())
        try:
            return await self._running
        except CancelledError:
            self._client.drop()
            return _INTERRUPTED
        except BaseException:
            self._client.drop()  # what was not sent is of no use any more
            if self._unwritten is not None:
                raise self._unwritten from None
            raise
        finally:
            await self._client.close()

    async def _talk(self) -> int:
        await _connect(self._client, self._options, self._reactor)
        source = None if self._options.commands else Input(self._reactor, sys.stdin.fileno())
        pipe = Pipe(self._client, self._options, source, self._screen, self._reactor)
        status = await pipe.run()
        if self._options.follow:
            await self._over
            raise Trouble(f"{self._options.server}: {self._why}")
        return status

    def interrupt(self) -> None:
        """Somebody has had enough."""
        if self._running is not None:
            self._running.cancel()

    def _lost(self, error: Exception) -> None:
        self._why = error
        if not self._over.called:
            self._over.callback(None)

    def _pushed(self, text: str) -> None:
        try:
            self._screen.line(f"* {text}")
            self._screen.flush()
        except (Trouble, BrokenPipeError) as error:
            self._unwritten = error
            self._client.drop()


class _Talk:
    """A conversation on a terminal."""

    _conversation: Conversation

    def __init__(self, options: ConnectOptions, password: str | None, reactor: Any) -> None:
        self._options = options
        self._reactor = reactor
        self._client = client_of(
            options, reactor, password, timeout=options.timeout,
            on_lost=self._lost, on_connect=self._connected, on_push=self._pushed,
        )  # fmt: skip
        self._editor = self._edit(reactor)
        self._screen = Screen(sys.stdout, True, sys.stderr)
        self._conversation = Conversation(self._client, options, self._editor, self._screen)
        self._starting: Deferred[None] | None = None

    def _edit(self, reactor: Any) -> BareEditor | ToolkitEditor:
        if not _has_toolkit():
            sys.stderr.write("no line editing: pip install netsuite[shell] brings it\n")
        elif _has_loop(reactor):
            return ToolkitEditor(
                lambda: self._conversation.commands.known, self._secret, self._options.history
            )
        return BareEditor(Input(reactor, sys.stdin.fileno()), sys.stdout)

    def _secret(self, line: str) -> bool:
        return bool(line.strip()) and self._conversation.commands.of(line).name == "AUTH"

    async def main(self) -> int:
        """Talk."""
        self._starting = Deferred.fromCoroutine(self._start())
        try:
            await self._starting
            self._starting = None
            return await self._conversation.run()
        except CancelledError:
            return _INTERRUPTED
        finally:
            self._editor.close()
            self._client.drop()
            await self._client.close()

    async def _start(self) -> None:
        await _connect(self._client, self._options, self._reactor)
        note = await self._conversation.commands.learn()
        if note:
            self._screen.note(note)

    def interrupt(self) -> None:
        """The person wants no more of what is going on."""
        if self._starting is not None:
            self._starting.cancel()
        else:
            self._conversation.interrupt()

    def _lost(self, error: Exception) -> None:
        if self._starting is None:
            self._conversation.lost(error)

    def _connected(self) -> None:
        self._conversation.connected()

    def _pushed(self, text: str) -> None:
        self._conversation.pushed(text)


def _has_loop(reactor: Any) -> bool:
    try:
        loop_of(reactor)
    except RuntimeError:
        return False
    return True
