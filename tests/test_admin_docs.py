"""The page about the admin site is true."""

import re
import shlex
import signal
from pathlib import Path

from prometheus_client.core import Metric
from twisted.internet.task import Clock

from netsuite.service._admission import Refusal
from netsuite.service._metrics import StatsCollector
from netsuite.service.admin import build_admin_site
from netsuite.service.test.admin_source import FakeSource
from netsuite.service.test.test_metrics import busy
from tests.running import free_port
from tests.test_docs import DOCS, commands, run, serving

PAGE = (DOCS / "observability.rst").read_text()


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


def shown(family: Metric) -> tuple[str, str, frozenset[str]]:
    """A family as the text format has it: its name, its type, its labels."""
    suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
    labels = frozenset(name for sample in family.samples for name in sample.labels)
    kind = "gauge" if family.type == "info" else family.type
    return f"{family.name}{suffix}", kind, labels - {"le", "service"}


def test_metrics() -> None:
    documented = {
        (name, kind, frozenset(labels.split(", ")) - {""})
        for name, kind, labels, _ in table("Metric")
    }
    assert documented == {shown(family) for family in StatsCollector(busy()).collect()}


def test_reasons() -> None:
    assert [reason for reason, _ in table("Refused")] == [each.value for each in Refusal]


def test_paths() -> None:
    site = build_admin_site(FakeSource(), "-" * 16, Clock(), lambda: 0.0)
    documented = {(path, method) for path, method, _ in table("Path")}
    assert documented == {each for each in site.paths if not each[0].startswith("/static/")}


def test_commands(tmp_path: Path) -> None:
    """Walk through the page, on ports that are free here."""
    ports = {"9000": str(free_port()), "9100": str(free_port())}

    def here(command: str) -> str:
        return re.sub(r"\b(9000|9100)\b", lambda match: ports[match[1]], command)

    steps = list(commands(DOCS / "observability.rst"))
    make_token, serve, *rest = steps
    run(make_token[0], tmp_path)
    words = shlex.split(here(serve[0]))
    with serving(tmp_path, words, int(ports["9100"])) as (process, log):
        for command, output in rest:
            assert run(here(command), tmp_path) == output, command
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
