"""Several processes on one port: shared work, crashes, reloads and drains."""

import json
import os
import signal
import socket
import stat
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.clients import TLSTransfer, payload, read_all
from tests.running import PATIENCE, RunningService, run, running, taken_for_udp, wait_for

WORKERS = 3
MODES = ("shared", "reuseport")


def workers_of(service: RunningService) -> list[int]:
    """The process ids of a supervisor's workers."""
    pid = service.process.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def admin_port(service: RunningService) -> int:
    [line] = [line for line in service.log().splitlines() if "admin: http://" in line]
    return int(line.rpartition(":")[2].rstrip("/"))


def stats_of(service: RunningService) -> dict[str, Any]:
    url = f"http://127.0.0.1:{admin_port(service)}/api/stats"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


@contextmanager
def running_workers(directory: Path, *options: str) -> Iterator[RunningService]:
    flags = (f"--workers={WORKERS}", "--admin=0", *options)
    with running(directory, *flags) as service:
        wait_for(lambda: "admin: http://" in service.log(), "the admin site")
        workers = workers_of(service)
        try:
            yield service
        finally:
            service.process.kill()
            wait_for(lambda: not any(map(alive, workers)), "orphans to end")


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def connect(service: RunningService) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), PATIENCE)


def echoes(connection: socket.socket) -> bool:
    """Whether a byte comes back."""
    try:
        connection.sendall(b"x")
        return connection.recv(1) == b"x"
    except OSError:
        return False


def peers_of(pid: int, port: int) -> set[int]:
    """The client ports of the connections that a process has on a local port."""
    descriptors = Path(f"/proc/{pid}/fd")
    inodes = set()
    for each in descriptors.iterdir():
        try:
            inodes.add(str(each.readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
    found = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, *_, inode = line.split()[:10]
        if int(local.rpartition(":")[2], 16) == port and f"socket:[{inode}]" in inodes:
            found.add(int(remote.rpartition(":")[2], 16))
    return found - {0}


@pytest.mark.parametrize("mode", MODES)
def test_a_killed_worker_takes_nothing_but_its_own_connections(tmp_path: Path, mode: str) -> None:
    with running_workers(tmp_path, "--port=0", f"--worker-sockets={mode}") as service:
        assert f"{WORKERS} workers, {mode} sockets" in service.log()
        held: list[socket.socket] = []
        victim = workers_of(service)[0]
        # Connections that all work, until the victim has some of them and others have too.
        while len(held) < 30 or not 0 < len(peers_of(victim, service.port)) < len(held):
            assert len(held) < 2000, "the workers do not share the work"
            held.append(connect(service))
            assert echoes(held[-1])

        stop = threading.Event()
        loads = [Load(service, stop) for _ in range(4)]
        for load in loads:
            load.start()
        wait_for(lambda: all(load.done > 10 for load in loads), "load")
        doomed = peers_of(victim, service.port)
        os.kill(victim, signal.SIGKILL)
        service.wait_for_log("worker 0 was ended by SIGKILL: another one in 0.1 s")
        wait_for(lambda: service.log().count("worker 0 is ready") == 2, "another worker")
        before = [load.done for load in loads]
        wait_for(
            lambda: all(load.done > done + 10 for load, done in zip(loads, before, strict=True)),
            "load to go on",
        )
        stop.set()
        for load in loads:
            load.join(PATIENCE)

        assert not [error for load in loads for error in load.refused], "the port never refuses"
        # Each load has one connection at a time: one of it can have been the victim's.
        assert all(load.broken <= 1 for load in loads)
        lost = {each.getsockname()[1] for each in held if not echoes(each)}
        assert lost == doomed & {each.getsockname()[1] for each in held}
        assert stats_of(service)["restarts"] == 1
        for each in held:
            each.close()


class Load(threading.Thread):
    """Connects, sends, reads back and closes, again and again."""

    def __init__(self, service: RunningService, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._service = service
        self._stop_event = stop
        self.done = 0
        self.broken = 0
        self.refused: list[OSError] = []

    def run(self) -> None:
        while not self._stop_event.is_set():
            try:
                connection = connect(self._service)
            except OSError as error:
                self.refused.append(error)
                continue
            with connection:
                if echoes(connection):
                    self.done += 1
                else:
                    self.broken += 1


def test_what_a_worker_counted_outlives_it(tmp_path: Path) -> None:
    with running_workers(tmp_path, "--port=0") as service:
        for _ in range(5):
            with connect(service) as connection:
                assert echoes(connection)
        wait_for(lambda: stats_of(service)["listeners"][0]["active"] == 0, "the last to close")
        stats = stats_of(service)
        assert stats["listeners"][0]["accepted"] == 5
        assert len(stats["pids"]) == 1 + WORKERS
        for pid in workers_of(service):
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: stats_of(service)["restarts"] == WORKERS, "the workers' end")
        with connect(service) as connection:  # waits in the kernel until there is one again
            assert echoes(connection)
        wait_for(lambda: stats_of(service)["listeners"][0]["accepted"] == 6, "the sum")
        assert stats_of(service)["listeners"][0]["bytes_received"] == 6


@pytest.mark.parametrize("mode", MODES)
def test_a_hundred_busy_connections_are_delivered(tmp_path: Path, mode: str) -> None:
    data = payload(512 * 1024)
    with running_workers(tmp_path, "--port=0", f"--worker-sockets={mode}") as service:
        workers = workers_of(service)
        connections = [connect(service) for _ in range(100)]
        half = len(data) // 2
        for each in connections:
            each.sendall(data[:65_536])
            assert each.recv(1, socket.MSG_PEEK)  # it is begun
        service.signal(signal.SIGTERM)
        wait_for(lambda: refuses(service), "the port to close")
        received: dict[int, bytes] = {}

        def finish(index: int, connection: socket.socket) -> None:
            connection.sendall(data[65_536:half])
            connection.sendall(data[half:])
            connection.shutdown(socket.SHUT_WR)
            received[index] = read_all(connection)
            connection.close()

        threads = [
            threading.Thread(target=finish, args=each, daemon=True)
            for each in enumerate(connections)
        ]
        readers = [*threads]
        for thread in readers:
            thread.start()
        for thread in readers:
            thread.join(PATIENCE)
        assert sum(each == data for each in received.values()) == 100
        assert service.wait() == 0
        assert not any(map(alive, workers))
        assert "Traceback" not in service.log()


def test_a_hundred_busy_tls_connections_are_delivered(tmp_path: Path, certificate: Path) -> None:
    data = payload(1024 * 1024)
    flags = (f"--tls-cert={certificate}/cert.pem", f"--tls-key={certificate}/key.pem")
    with running_workers(tmp_path, "--port=0", *flags) as service:
        go_on = threading.Event()
        transfers = [TLSTransfer(service.port, data, go_on) for _ in range(100)]
        for transfer in transfers:
            transfer.start()
        for transfer in transfers:
            assert transfer.begun.wait(PATIENCE)
        service.signal(signal.SIGTERM)
        wait_for(lambda: refuses(service), "the port to close")
        go_on.set()
        for transfer in transfers:
            transfer.join(PATIENCE)
        assert sum(transfer.received == data for transfer in transfers) == 100
        assert service.wait() == 0
        assert "aborted" not in service.log()


def refuses(service: RunningService) -> bool:
    try:
        connect(service).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def test_a_reload_reaches_every_worker(tmp_path: Path) -> None:
    rules = tmp_path / "access"
    rules.write_text("default allow\n")
    with running_workers(tmp_path, "--port=0", f"--access-file={rules}") as service:
        with connect(service) as connection:
            assert echoes(connection)
        rules.write_text("deny 127.0.0.0/8\ndefault allow\n")
        service.signal(signal.SIGHUP)
        wait_for(lambda: service.log().count("reloaded") >= 1 + WORKERS, "reloads")
        for _ in range(20):
            with connect(service) as connection:
                assert not echoes(connection)
        rules.write_text("deny everybody\n")
        service.signal(signal.SIGHUP)
        service.wait_for_log("not reloaded")
        assert f"access file {rules}: 'deny everybody': " in service.log()
        assert "(line 1)" in service.log()
        assert "Traceback" not in service.log()


def test_workers_do_not_outlive_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with running_workers(tmp_path, "--port=0") as service:
        workers = workers_of(service)
        service.signal(signal.SIGKILL)
        wait_for(lambda: not any(map(alive, workers)), "the workers to end")


def test_a_unix_socket_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    with running_workers(tmp_path, f"--listen=unix:{path}:mode=600") as service:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for _ in range(5):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(PATIENCE)
            connection.connect(str(path))
            assert echoes(connection)
            connection.close()
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        assert not path.exists()


def test_tls_with_workers(tmp_path: Path, certificate: Path) -> None:
    import ssl

    context = ssl.create_default_context(cafile=certificate / "cert.pem")
    flags = (f"--tls-cert={certificate}/cert.pem", f"--tls-key={certificate}/key.pem")
    with running_workers(tmp_path, "--port=0", *flags) as service:
        for _ in range(6):
            with context.wrap_socket(connect(service), server_hostname="localhost") as connection:
                connection.sendall(b"hello")
                assert connection.recv(5) == b"hello"


def test_a_new_worker_goes_by_what_is_in_force_not_by_what_is_on_disk(tmp_path: Path) -> None:
    file = tmp_path / "echo.toml"
    rules = tmp_path / "access"
    rules.write_text("default allow\n")
    file.write_text('port = 0\naccess-file = "access"\n')
    with running_workers(tmp_path, f"--config={file}") as service:

        def kill_all() -> None:
            ready = service.log().count("is ready")
            for pid in workers_of(service):
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: service.log().count("is ready") == ready + WORKERS, "new workers")

        file.write_text("port = nonsense\n")
        rules.write_text("nonsense\n")
        kill_all()
        with connect(service) as connection:
            assert echoes(connection)
        file.write_text('port = 0\naccess-file = "access"\n')
        rules.write_text("deny 127.0.0.0/8\n")
        service.signal(signal.SIGHUP)
        wait_for(lambda: service.log().count("reloaded") >= 1 + WORKERS, "reloads")
        rules.write_text("nonsense\n")
        kill_all()
        with connect(service) as connection:
            assert not echoes(connection)
        assert "status 2" not in service.log()


def test_a_worker_that_is_stuck_holds_up_nobody_who_asks_twice(tmp_path: Path) -> None:
    with running_workers(tmp_path, "--port=0") as service:
        stuck = workers_of(service)[0]
        os.kill(stuck, signal.SIGSTOP)
        service.signal(signal.SIGTERM)
        service.wait_for_log("SIGTERM: stopping")
        service.signal(signal.SIGTERM)
        service.wait_for_log("worker 0 does not end: killed")
        assert service.wait() == -signal.SIGTERM
        assert "SIGTERM again" in service.log()


def test_workers_that_cannot_start_end_it_with_one_line(tmp_path: Path) -> None:
    with taken_for_udp() as port:
        log = tmp_path / "log"
        done = run(
            tmp_path,
            *("twistd", "--nodaemon", "--pidfile=", f"--logfile={log}", "netsuite-echo"),
            *(f"--listen=tcp:{port}:interface=127.0.0.1", "--udp", "--workers=2"),
        )
    assert done.returncode != 0
    assert "before it was ready" in done.stderr
    assert "Traceback" not in done.stderr
    assert "address already in use" in log.read_text()


def test_a_self_signed_certificate_is_for_one_process(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        *("twistd", "--nodaemon", "--pidfile=", "netsuite-echo", "--port=0"),
        *("--tls-self-signed", "--workers=2"),
    )
    assert done.returncode == 2
    assert "self-signed" in done.stderr
    assert "Traceback" not in done.stderr
