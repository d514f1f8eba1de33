"""The page about line services says all that there is, as it is."""

import re
import shlex
import shutil
import signal
from dataclasses import fields
from pathlib import Path

import pytest

from netsuite.line import Limits
from netsuite.line.service import _LIMITS, Options
from netsuite.service._help import default_text
from netsuite.service._settings import Setting
from tests.running import PATIENCE, ROOT, free_port
from tests.test_docs import DOCS, EXAMPLES, commands, run, serving

PAGE = (DOCS / "line.rst").read_text()

#: What a program sends that is no code of ours.
CODE = re.compile(r'CommandError\(\s*"([a-z-]+)"')
#: Where applications have codes of their own.
NOT_OURS = {"apps", "kv", "test"}


def table(title: str) -> list[list[str]]:
    """The rows of the table whose first heading is ``title``, cells without markup."""
    [text] = re.findall(
        rf"^   \* - {re.escape(title)}\n(.*?)(?=^\S|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL
    )
    rows = re.split(r"^   \* - ", text, flags=re.MULTILINE)[1:]
    return [
        [" ".join(cell.replace("``", "").split()) for cell in re.split(r"\n     -", row)]
        for row in rows
    ]


def row(setting: Setting) -> str:
    """What the page is to say of an option."""
    default = default_text(setting)
    text = re.sub(r"--[a-z-]+", r"``\g<0>``", setting.help)
    if setting.kind.choices:
        text += f" One of: {', '.join(f'``{each}``' for each in setting.kind.choices)}."
    cells = [f"``{default}``" if default else "", text]
    return (
        f"   * - | ``{setting.flag}``\n"
        f"       | ``{setting.variable}``\n"
        f"       | ``{setting.name}``\n"
    ) + "".join(f"{f'     - {cell}'.rstrip()}\n" for cell in cells)


@pytest.mark.parametrize("setting", Options.settings, ids=lambda setting: setting.name)
def test_every_option_is_on_the_page(setting: Setting) -> None:
    assert row(setting) in PAGE, f"docs/line.rst wants:\n{row(setting)}"


def test_there_are_no_other_options() -> None:
    shown = re.findall(r"^   \* - \| ``--([a-z0-9-]+)``$", PAGE, re.MULTILINE)
    assert shown == [setting.name for setting in Options.settings]


def test_limits() -> None:
    options = {limit: setting.replace("_", "-") for setting, limit in _LIMITS.items()}
    options["idle"] = "idle-timeout"
    assert [(limit, default, option) for limit, default, option, _ in table("Limit")] == [
        (
            each.name,
            f"{each.default:g}" if isinstance(each.default, float) else str(each.default),
            f"--{options[each.name]}",
        )
        for each in fields(Limits)
    ]


def test_error_codes() -> None:
    room = ROOT / "netsuite" / "line"
    said = {
        code
        for path in room.rglob("*.py")
        if not NOT_OURS & set(path.relative_to(room).parts)
        for code in CODE.findall(path.read_text())
    }
    assert {code for code, _ in table("Code")} == said


def test_commands(tmp_path: Path) -> None:
    """Walk through the page from top to bottom, on a port that is free here."""
    shutil.copy(EXAMPLES / "calc.py", tmp_path)
    port = free_port()
    steps = list(commands(DOCS / "line.rst"))
    servers = [step for step in steps if step[0].startswith("netsuite line ")]
    assert len(servers) == len(steps) / 2, "one client for each"
    for (server, _), (client, shown) in zip(steps[::2], steps[1::2], strict=True):
        words = shlex.split(server)
        if "9001" not in server:
            words.append(f"--port={port}")
        with serving(tmp_path, [word.replace("9001", str(port)) for word in words], port) as (
            process,
            log,
        ):
            said = run(client.replace("9001", str(port)), tmp_path).replace("\r", "")
            assert said == shown
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0, log.read_text()
