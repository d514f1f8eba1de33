"""The page on configuration says all that there is, as it is."""

import re
from pathlib import Path

import pytest

from netsuite.echo.service import Options as EchoOptions
from netsuite.service._help import default_text
from netsuite.service._settings import Setting
from tests.running import ROOT, run

pytestmark = pytest.mark.once

PAGE = (ROOT / "docs" / "configuration.rst").read_text()
SETTINGS = EchoOptions.all_settings()


def row(setting: Setting) -> str:
    """What the page is to say of a setting."""
    short = f"``-{setting.short}``, " if setting.short else ""
    default = default_text(setting)
    cells = [
        f"``{default}``" if default else "",
        "yes" if setting.reload else "no",
        re.sub(r"--[a-z-]+", r"``\g<0>``", setting.help),
    ]
    return (
        f"   * - | {short}``{setting.flag}``\n"
        f"       | ``{setting.variable}``\n"
        f"       | ``{setting.name}``\n"
    ) + "".join(f"{f'     - {cell}'.rstrip()}\n" for cell in cells)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_on_the_page(setting: Setting) -> None:
    assert row(setting) in PAGE, f"docs/configuration.rst wants:\n{row(setting)}"


def test_there_is_nothing_else_in_the_tables() -> None:
    shown = re.findall(r"^   \* - \| (?:``-\w``, )?``--([a-z0-9-]+)``$", PAGE, re.MULTILINE)
    assert sorted(shown) == sorted(setting.name for setting in SETTINGS)


def test_every_setting_is_under_its_heading() -> None:
    for setting in SETTINGS:
        heading = f"\n{setting.group}\n{'~' * len(setting.group)}\n"
        assert heading in PAGE
        table = PAGE.partition(heading)[2].partition("~~~")[0]
        assert f"``{setting.flag}``" in table


def test_what_is_of_the_process_alone_is_named() -> None:
    for setting in SETTINGS:
        if setting.process:
            said = PAGE.partition("Those of the process stand there alone:")[2].partition(".")[0]
            assert f"``{setting.name}``" in said


def test_the_suite_that_it_shows_is_right(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_bytes((ROOT / "docs/examples/suite.toml").read_bytes())
    result = run(tmp_path, "netsuite", "run", "--config=suite.toml", "--check-config")
    assert result.stderr == ""
    assert result.stdout == (
        "configuration ok: echo: echo on dualstack:9000; clock: time on dualstack:9037, "
        "unix:clock.sock; admin on tcp:9100:interface=127.0.0.1\n"
    )


def test_the_mistakes_that_it_shows_are_shown(tmp_path: Path) -> None:
    (tmp_path / "echo.toml").write_text("\n" * 6 + 'max-per-client = "many"\n')
    said = run(tmp_path, "netsuite", "echo", "--config=echo.toml").stderr
    said += run(tmp_path, "netsuite", "echo", "--rate=fast").stderr
    (tmp_path / "echo.toml").write_text("\n" * 7 + "max-per-cleint = 1\n")
    said += run(tmp_path, "netsuite", "echo", "--config=echo.toml").stderr
    for line in said.splitlines():
        assert f"   {line}\n" in PAGE
