"""The page about telnet, SSH and standard input is true."""

import re
import shlex
import signal
from pathlib import Path

from netsuite.line import _front, telnet
from netsuite.line._ssh_channel import LINGER_SECONDS, WINDOW
from netsuite.line._ssh_transport import _MOST_HELD
from netsuite.line._telnet_wire import MAX_SUBNEGOTIATION
from netsuite.line._terminal_history import History
from netsuite.line._terminal_keys import _LONGEST_SEQUENCE
from tests.running import PATIENCE, free_port
from tests.test_docs import DOCS, commands, run, serving

PAGE = (DOCS / "line-frontends.rst").read_text()
KIB = 1024


def test_commands(tmp_path: Path) -> None:
    """Walk through the first block, on ports that are free here."""
    ports = {"2222": str(free_port()), "2323": str(free_port())}
    steps = [
        (re.sub("2222|2323", lambda match: ports[match[0]], command), shown)
        for command, shown in commands(DOCS / "line-frontends.rst")
    ]
    (at,) = (at for at, (command, _) in enumerate(steps) if " --ssh " in command)
    for command, shown in steps[:at]:
        assert run(command, tmp_path) == shown
    with serving(tmp_path, shlex.split(steps[at][0]), int(ports["2222"])) as (process, log):
        public = (tmp_path / "host_key.pub").read_text()
        (tmp_path / "known").write_text(f"[localhost]:{ports['2222']} {public}")
        ours = f"ssh -F none -o UserKnownHostsFile={tmp_path}/known"
        for command, shown in steps[at + 1 :]:
            said = run(command.replace("ssh ", f"{ours} "), tmp_path)
            assert said.replace("\r", "") == shown
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, log.read_text()


def test_numbers() -> None:
    history = History()
    for said in (
        f"{history._most} lines, {history._most_size // KIB} KiB",
        f"{_front.MAX_EDITED} bytes, or the application's",
        f"{_LONGEST_SEQUENCE} bytes; {MAX_SUBNEGOTIATION} bytes",
        f"a window of {WINDOW // KIB} KiB",
        f"{_front._KEYS_A_TURN} are looked at",
        f"{_MOST_HELD // KIB} KiB.",
        f"{LINGER_SECONDS:g} seconds",
    ):
        assert said in PAGE, said
    assert telnet._EVENTS_A_TURN == _front._KEYS_A_TURN
