"""Where a person types at ``netsuite line connect``: prompt_toolkit, or the bare terminal."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TextIO

from twisted.internet.defer import CancelledError, Deferred

from netsuite.line._client_commands import CommandList
from netsuite.line._shell_input import Input
from netsuite.line._shell_text import candidates, starred
from netsuite.net.aio import as_deferred

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completion
    from prompt_toolkit.document import Document

Secret = Callable[[str], bool]


class BareEditor:
    """A prompt; the rest is the terminal's own."""

    def __init__(self, source: Input, output: TextIO) -> None:
        self._source = source
        self._output = output
        self._prompt = ""
        self._reading: Deferred[bytes | None] | None = None

    async def line(self, prompt: str) -> str:
        """A line."""
        self._prompt = prompt
        self._say(prompt)
        self._reading = Deferred.fromCoroutine(self._source.line())
        try:
            line = await self._reading
        except CancelledError:
            self._say("\n")
            raise KeyboardInterrupt from None
        finally:
            self._reading = None
        if line is None:
            self._say("\n")
            raise EOFError
        return line.decode("utf-8", "replace")

    def show(self, text: str) -> None:
        """Show a line, and the prompt again below it."""
        typing = self._reading is not None
        self._say(f"\r{text}\n{self._prompt}" if typing else f"{text}\n")

    def interrupt(self) -> None:
        """Give up the line; the terminal has forgotten it already."""
        if self._reading is not None:
            self._reading.cancel()

    def close(self) -> None:
        """Nothing is left behind."""

    def _say(self, text: str) -> None:
        self._output.write(text.encode(errors="backslashreplace").decode())
        self._output.flush()


class ToolkitEditor:
    """A line that can be edited, with history and completion.

    :param commands: gives what the server knows, for completion.
    :param secret: whether a line is better not remembered, nor its arguments shown.
    :param history: a file that remembers the others.
    :raises ImportError: without prompt_toolkit.
    """

    def __init__(
        self, commands: Callable[[], CommandList | None], secret: Secret, history: str | None
    ) -> None:
        from prompt_toolkit import PromptSession  # noqa: PLC0415 - it may not be there
        from prompt_toolkit.output import create_output  # noqa: PLC0415
        from prompt_toolkit.output.vt100 import Vt100_Output  # noqa: PLC0415
        from prompt_toolkit.patch_stdout import StdoutProxy  # noqa: PLC0415

        output = create_output()
        if isinstance(output, Vt100_Output):
            # Where the cursor is it would ask, and keep the terminal until that is answered, if
            # ever: a Ctrl-C meanwhile, for a command that runs, would go nowhere.
            output.enable_cpr = False

        self._session: PromptSession[str] = PromptSession(
            output=output,
            history=_history(secret, history),
            completer=_completer(commands),
            complete_while_typing=False,
            input_processors=[_stars(secret)],
        )
        self._above = StdoutProxy(sleep_between_writes=0.05)

    async def line(self, prompt: str) -> str:
        """A line."""
        line = await as_deferred(self._ask(prompt))
        if isinstance(line, str):
            return line
        raise line

    async def _ask(self, prompt: str) -> str | type[BaseException]:
        # asyncio ends its loop by a KeyboardInterrupt that leaves a task.
        try:
            return await self._session.prompt_async(prompt, handle_sigint=False)
        except (EOFError, KeyboardInterrupt) as given_up:
            return type(given_up)

    def show(self, text: str) -> None:
        """Show a line above what is being typed."""
        self._above.write(text + "\n")
        self._above.flush()

    def interrupt(self) -> None:
        """Give up the line."""
        if self._session.app.is_running:
            self._session.app.exit(exception=KeyboardInterrupt)

    def close(self) -> None:
        """Show what is still to be shown."""
        self._above.close()


def _completer(commands: Callable[[], CommandList | None]) -> Any:
    from prompt_toolkit.completion import Completer, Completion  # noqa: PLC0415

    class CommandCompleter(Completer):
        def get_completions(self, document: "Document", event: object) -> "Iterable[Completion]":
            for text, typed, meaning in candidates(commands(), document.text_before_cursor):
                yield Completion(text, -typed, display_meta=meaning)

    return CommandCompleter()


def _stars(secret: Secret) -> Any:
    from prompt_toolkit.layout.processors import Processor, Transformation  # noqa: PLC0415

    class Stars(Processor):
        def apply_transformation(self, transformation_input: Any) -> Any:
            text = transformation_input.document.text
            if not secret(text):
                return Transformation(transformation_input.fragments)
            return Transformation([("", starred(text))])

    return Stars()


def _history(secret: Secret, path: str | None) -> Any:
    from prompt_toolkit.history import FileHistory, InMemoryHistory  # noqa: PLC0415

    class DiscreetHistory(InMemoryHistory):
        def append_string(self, string: str) -> None:
            if not secret(string):
                super().append_string(string)

    class DiscreetFileHistory(FileHistory):
        def append_string(self, string: str) -> None:
            if not secret(string):
                super().append_string(string)

    return DiscreetHistory() if path is None else DiscreetFileHistory(path)
