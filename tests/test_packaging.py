"""The three ways to have netsuite, and what the wheel brings."""

import fcntl
import os
import socket
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.clients import exchange
from tests.running import PATIENCE, ROOT, wait_for

pytestmark = pytest.mark.once

INSTALL = 600.0


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as ``pip`` builds it, from a copy without leftovers."""
    directory = tmp_path_factory.mktemp("wheel")
    source = directory / "source"
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(directory), str(source))
    [wheel] = directory.glob("*.whl")
    return wheel


def pip(python: str | Path, *arguments: str) -> None:
    """Run our pip for another environment, or for ours."""
    quiet = ("--disable-pip-version-check", "--quiet")
    result = subprocess.run(
        [sys.executable, "-m", "pip", *quiet, f"--python={python}", *arguments],
        env=outside(),
        capture_output=True,
        text=True,
        timeout=INSTALL,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def outside() -> dict[str, str]:
    """The environment without the checkout: what is on its path, pip would not install."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def new_environment(directory: Path) -> Path:
    """A fresh virtual environment; returns its directory of programs."""
    venv.create(directory)
    return directory / "bin"


def run(program: Path, *arguments: str, cwd: Path, **environment: str) -> str:
    """The output of a program that must succeed, with nothing of ours on its path."""
    result = subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env={**outside(), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL,
        check=False,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout


def check_it_works(programs: Path, directory: Path, **environment: str) -> None:
    """``twistd -n netsuite-echo`` echoes, and so do its tests."""
    assert "netsuite-echo" in run(programs / "twistd", "--help", cwd=directory, **environment)
    socket_path, ready = directory / "echo.sock", directory / "ready"
    with subprocess.Popen(
        [
            *(programs / "twistd", "-n", "--pidfile=", "netsuite-echo"),
            *(f"--listen=unix:{socket_path}", f"--port-file={ready}"),
        ],
        cwd=directory,
        env={**outside(), **environment},
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            wait_for(lambda: ready.exists() or process.poll() is not None, "it to listen")
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PATIENCE)
                connection.connect(str(socket_path))
                assert exchange(connection, b"hello") == b"hello"
            process.terminate()
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
    assert "PASSED" in run(programs / "trial", "netsuite.echo", cwd=directory, **environment)


def test_the_wheel_puts_one_file_under_twisted(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.startswith("twisted/")] == [
        "twisted/plugins/netsuite_plugins.py"
    ]
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"netsuite", "twisted"}
    assert "netsuite/py.typed" in names
    assert "netsuite/echo/test/test_protocol.py" in names, "trial netsuite needs them"


def test_installing_and_uninstalling(wheel: Path, tmp_path: Path) -> None:
    programs = new_environment(tmp_path / "venv")
    pip(programs / "python", "install", str(wheel))
    check_it_works(programs, tmp_path)
    output = run(programs / "trial", "netsuite", cwd=tmp_path)
    assert "PASSED" in output
    # Without the extras, Twisted's tests of reactors are one that says what they need.
    assert "skips=1," in output
    assert run(programs / "netsuite", "--version", cwd=tmp_path).startswith("netsuite ")
    pip(programs / "python", "uninstall", "--yes", "netsuite")
    listed = run(programs / "twistd", "--help", cwd=tmp_path)
    assert "netsuite" not in listed
    assert "inetd" in listed, "Twisted keeps its own plugins"
    run(programs / "python", "-c", "import twisted.plugins, twisted.scripts", cwd=tmp_path)
    pip(programs / "python", "check")


def test_an_editable_checkout(tmp_path: Path) -> None:
    programs = new_environment(tmp_path / "venv")
    with (ROOT / "setup.cfg").open() as ours:
        fcntl.flock(ours, fcntl.LOCK_EX)  # it writes into the checkout, as another run may
        pip(programs / "python", "install", "--editable", str(ROOT))
    check_it_works(programs, tmp_path)


def test_a_checkout_on_the_path(tmp_path: Path) -> None:
    programs = new_environment(tmp_path / "venv")
    pip(programs / "python", "install", "Twisted[tls]>=26.10", "prometheus_client>=0.21")
    check_it_works(programs, tmp_path, PYTHONPATH=str(ROOT))
