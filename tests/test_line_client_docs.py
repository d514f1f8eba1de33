"""The page about clients of line services says what there is, and its commands run."""

import re
import shlex
import shutil
import signal
from pathlib import Path

from netsuite.line import client
from netsuite.line._shell_options import _parser
from tests.running import PATIENCE, free_port
from tests.test_docs import DOCS, EXAMPLES, commands, run, serving

PAGE = DOCS / "line-client.rst"


def test_commands(tmp_path: Path) -> None:
    """Walk through the page from top to bottom, on a port that is free here."""
    shutil.copy(EXAMPLES / "calc.py", tmp_path)
    (tmp_path / "docs").symlink_to(DOCS)
    port = free_port()
    (server, _), *clients = commands(PAGE)
    assert len(clients) == 3
    with serving(tmp_path, [*shlex.split(server), f"--port={port}"], port) as (process, log):
        for command, shown in clients:
            here = command.replace("localhost:9001", f"localhost:{port}")
            if "examples" in here:
                here += f" tcp:localhost:{port}"
            assert run(here, tmp_path) == shown, command
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, log.read_text()


def test_every_option_is_on_the_page() -> None:
    shown = set(re.findall(r"``(-[-a-z]+)", PAGE.read_text()))
    there = {name for each in _parser()._actions for name in each.option_strings}
    assert there - {"-h", "--help"} <= shown
    assert shown - there == {"--app", "--idle-timeout", "--reactor"}, "those of others"


def test_every_error_is_on_the_page() -> None:
    for name in client.__all__:
        if name.endswith("Error"):
            assert f":class:`{name}`" in PAGE.read_text()


def test_everything_public_is_in_the_reference() -> None:
    reference = set(re.findall(r"auto(?:class|exception):: (\w+)", PAGE.read_text()))
    assert reference == set(client.__all__) - {"Argument"}
