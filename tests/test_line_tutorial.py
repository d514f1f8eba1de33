"""The tutorial of line services: what it shows is what comes out."""

import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.running import PATIENCE, free_port, wait_for
from tests.test_docs import DOCS, EXAMPLES, commands, run, serving, variables

pytestmark = pytest.mark.once

PAGE = DOCS / "line-tutorial.rst"


@contextmanager
def in_the_background(
    command: str, directory: Path
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A command that goes on, and what it says, until the block ends."""
    said = directory / "said-in-the-background"
    with (
        said.open("wb") as output,
        subprocess.Popen(
            ["bash", "-c", f"exec env {command}"],
            cwd=directory,
            env=variables(),
            stdin=subprocess.DEVNULL,
            stdout=output,
        ) as process,
    ):
        try:
            yield process, said
        finally:
            process.kill()


def is_server(command: str) -> bool:
    return command.startswith(("netsuite line --app", "python line_program.py")) or (
        command == "netsuite line --config line.toml"
    )


def texts() -> list[str]:
    """The blocks of text that the page shows."""
    found = re.findall(r"\.\. code-block:: text\n\n((?:   .*\n|\n)+)", PAGE.read_text())
    return [re.sub("^   ", "", each.strip("\n"), flags=re.MULTILINE) + "\n" for each in found]


def test_the_whole_page(tmp_path: Path) -> None:
    """Walk through it from top to bottom, on ports that are free here."""
    for each in EXAMPLES.glob("line*"):
        shutil.copy(each, tmp_path)
    ports = {"9001": str(free_port()), "9100": str(free_port())}

    def here(text: str) -> str:
        return re.sub(r"\b(9001|9100)\b", lambda match: ports[match[1]], text)

    for name in ("line.toml", "line_watch.py"):
        (tmp_path / name).write_text(here((tmp_path / name).read_text()))
    port = int(ports["9001"])
    shown_texts = texts()
    with ExitStack() as servers:
        watching: Path | None = None
        process: subprocess.Popen[bytes] | None = None
        for command, shown in commands(PAGE):
            if is_server(command):
                stop(process)
                servers.close()
                words = shlex.split(command)
                if "--config" not in words:
                    on = f"tcp:{port}" if words[0] == "python" else f"--port={port}"
                    words.append(on)
                process, _ = servers.enter_context(serving(tmp_path, words, port))
            elif "python line_watch.py" in command:
                _, watching = servers.enter_context(in_the_background(command, tmp_path))
                wait_for(watching.read_text, "what there is already")
            else:
                said = run(here(command), tmp_path).replace("\r", "")
                assert same(said, here(shown)), (command, said)
                if watching is not None:
                    wait_until_it_says(watching, shown_texts.pop(0))
                    watching = None
        stop(process)
    assert not shown_texts


def same(said: str, shown: str) -> bool:
    """Whether a command has said what the page shows, but for space in front of lines."""
    if not shown:
        return True
    return [line.strip() for line in said.splitlines()] == shown.splitlines()


def wait_until_it_says(said: Path, expected: str) -> None:
    wait_for(lambda: said.read_text() == expected, f"{expected}, not {said.read_text()}")


def stop(process: subprocess.Popen[bytes] | None) -> None:
    """End a server as an operator does; ours end well."""
    if process is not None:
        process.send_signal(signal.SIGTERM)
        status = process.wait(PATIENCE)
        args = process.args
        assert isinstance(args, list)
        assert status == 0 or "netsuite" not in str(args[0])


@pytest.mark.parametrize("name", [path.name for path in sorted(EXAMPLES.glob("line*"))])
def test_every_step_is_on_a_page(name: str) -> None:
    include = f".. literalinclude:: examples/{name}\n"
    assert any(include in page.read_text() for page in DOCS.glob("line*.rst"))
