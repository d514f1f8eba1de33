"""The admin site of a real service: what it says is what happens."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.running import PATIENCE, RunningService, run, running, wait_for

TOKEN = "a-token-for-this-test"


class Service:
    """A running ``netsuite-echo`` with an admin site."""

    def __init__(self, process: RunningService) -> None:
        self.process = process
        process.wait_for_log("admin: http://127.0.0.1:")
        match = re.search(r"admin: http://127\.0\.0\.1:(\d+)/", process.log())
        assert match is not None
        self.admin = int(match[1])

    def ask(self, path: str, body: object = None) -> tuple[int, bytes]:
        """One request to the admin site; a POST if there is a body."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        with closing(HTTPConnection("127.0.0.1", self.admin, timeout=PATIENCE)) as link:
            if body is None:
                link.request("GET", path)
            else:
                link.request("POST", path, json.dumps(body), headers)
            response = link.getresponse()
            return response.status, response.read()

    def stats(self) -> Any:
        return json.loads(self.ask("/api/stats")[1])

    def listener(self) -> Any:
        [listener] = self.stats()["listeners"]
        return listener

    def metric(self, name: str, **labels: str) -> float:
        """The value of the one sample with this name and these labels, 0 if there is none."""
        text = self.ask("/metrics")[1].decode()
        found = [
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert len(found) <= 1, found
        return float(found[0]) if found else 0.0

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.process.port), PATIENCE)


@contextmanager
def serving(directory: Path, *options: str) -> Iterator[Service]:
    token_file = directory / "token"
    token_file.write_text(f"{TOKEN}\n")
    with running(
        directory,
        *("--port=0", "--interface=127.0.0.1", "--admin=0", f"--admin-token-file={token_file}"),
        *options,
    ) as process:
        yield Service(process)


@pytest.mark.parametrize("options", [(), ("--workers=2",)], ids=["alone", "workers"])
def test_it_counts_what_happens(options: tuple[str, ...], tmp_path: Path) -> None:
    with serving(tmp_path, *options) as service:
        with closing(service.connect()) as connection:
            connection.sendall(b"x" * 1000)
            assert connection.recv(1000, socket.MSG_WAITALL) == b"x" * 1000
            wait_for(lambda: service.listener()["bytes_sent"] == 1000, "the bytes")
            listener = service.listener()
            assert (listener["accepted"], listener["active"]) == (1, 1)
            assert listener["bytes_received"] == 1000
            assert service.metric("netsuite_connections_active", listener="echo") == 1
        wait_for(lambda: service.listener()["active"] == 0, "the connection to end")
        assert service.metric("netsuite_connection_duration_seconds_count") == 1
        assert service.metric("netsuite_sent_bytes_total", listener="echo") == 1000
        assert len(service.stats()["pids"]) == (3 if options else 1)
        wait_for(lambda: service.metric("netsuite_reactor_lag_seconds_count"), "lag")


def test_a_ban_cuts_and_refuses(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        with closing(service.connect()) as connection:
            wait_for(lambda: service.listener()["active"] == 1, "the connection")
            assert service.ask("/api/ban", {"network": "127.0.0.0/8"})[0] == 200
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
        with closing(service.connect()) as connection, suppress(ConnectionResetError):
            connection.recv(100)
        wait_for(
            lambda: service.metric("netsuite_connections_refused_total", reason="banned") == 1,
            "the refusal",
        )
        assert service.metric("netsuite_connections_cut_total", reason="ban") == 1
        assert service.metric("netsuite_banned_networks") == 1
        assert service.ask("/api/unban", {"network": "127.0.0.0/8"})[0] == 200
        with closing(service.connect()) as connection:
            connection.sendall(b"again")
            assert connection.recv(5, socket.MSG_WAITALL) == b"again"


@pytest.mark.parametrize("options", [(), ("--workers=2",)], ids=["alone", "workers"])
def test_a_drain_can_be_watched(options: tuple[str, ...], tmp_path: Path) -> None:
    with serving(tmp_path, "--drain-timeout=60", *options) as service:
        assert service.ask("/readyz")[0] == 200
        with closing(service.connect()) as connection:
            connection.sendall(b"begun")
            assert connection.recv(5, socket.MSG_WAITALL) == b"begun"
            status, body = service.ask("/api/drain", {})
            assert (status, json.loads(body)) == (202, {"draining": True})
            wait_for(lambda: service.ask("/readyz")[0] == 503, "the end of readiness")
            assert service.ask("/healthz")[0] == 200
            assert service.stats()["draining"] is True
            assert service.metric("netsuite_draining") == 1
            assert service.listener()["active"] == 1
        assert service.process.wait() == 0


def test_a_wrong_token_file(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("short\n")
    done = run(tmp_path, "netsuite", "echo", "--port=0", "--admin=0", "--admin-token-file=short")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "short: expected one line of 16 to 1024 ASCII characters without spaces" in line
