"""The admin site over real sockets."""

import gzip
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.admin_service import TOKEN, admin_service
from tests.clients import read_all
from tests.running import PATIENCE, wait_for


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with admin_service(tmp_path_factory.mktemp("admin")) as (_, port):
        yield port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def ask(
    port: int, method: str, path: str, body: object = None, **headers: str
) -> tuple[HTTPResponse, bytes]:
    """One request, with the token if it has a body."""
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"} | headers
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        return response, response.read()


def stats(port: int) -> Any:
    return json.loads(ask(port, "GET", "/api/stats")[1])


def test_prometheus_reads_it(port: int) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"
    headers = {"Accept": accept, "Accept-Encoding": "gzip"}
    response, body = ask(port, "GET", "/metrics", None, **headers)
    assert response.status == 200
    assert response.headers["Content-Encoding"] == "gzip"
    assert "application/openmetrics-text" in response.headers["Content-Type"]
    names = {family.name for family in parse_openmetrics(gzip.decompress(body).decode())}
    assert "netsuite_connections_accepted" in names

    response, body = ask(port, "GET", "/metrics")
    values = [
        sample.value
        for family in parse_text(body.decode())
        for sample in family.samples
        if sample.name == "netsuite_connections_accepted_total"
    ]
    assert len(values) == 3
    assert min(values) > 18_000


def test_numbers_move_and_are_remembered(port: int) -> None:
    first = stats(port)
    wait_for(lambda: stats(port)["listeners"] != first["listeners"], "numbers that change")

    def samples() -> int:
        return len(json.loads(ask(port, "GET", "/api/history")[1])["samples"])

    before = samples()
    wait_for(lambda: samples() > before, "another sample")


def test_ban_and_unban(port: int) -> None:
    for network, seconds in (("192.0.2.0/24", 600), ("2001:db8::7", None)):
        response, _ = ask(port, "POST", "/api/ban", {"network": network, "seconds": seconds})
        assert response.status == 200
    banned = stats(port)["banned"]
    assert banned["192.0.2.0/24"] > 600
    assert banned["2001:db8::7/128"] is None
    response, _ = ask(port, "POST", "/api/unban", {"network": "192.0.2.0/24"})
    assert response.status == 200
    assert "192.0.2.0/24" not in stats(port)["banned"]


def test_without_the_token(port: int) -> None:
    response, body = ask(port, "POST", "/api/drain", {}, Authorization="Bearer of-bad-news")
    assert response.status == 401
    assert json.loads(body) == {"error": "that is not the admin token"}
    assert stats(port)["draining"] is False


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/static/dashboard.js"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_client_that_has_closed_its_side(port: int, path: str, version: str) -> None:
    """As ``printf … | nc -N`` does."""
    with closing(connect(port)) as connection:
        connection.sendall(f"GET {path} HTTP/{version}\r\nHost: localhost\r\n\r\n".encode())
        connection.shutdown(socket.SHUT_WR)
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}\r\n".encode() in head + b"\r\n"
    assert body


def test_a_connection_is_kept(port: int) -> None:
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.connect()
        first = connection.sock
        for path in ("/healthz", "/none", "/api/stats", "/", "/api/drain"):
            connection.request("GET", path)
            connection.getresponse().read()
            assert connection.sock is first


def test_a_long_body_is_not_kept(port: int) -> None:
    with closing(connect(port)) as connection:
        connection.sendall(
            b"POST /api/ban HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n"
        )
        assert b" 413 " in connection.recv(4096)
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            connection.sendall(b"x" * 100_000_000)
    assert stats(port)


def test_many_at_once(port: int) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ask(port, "GET", "/api/history")[0].status, range(200)))
    assert answers == [200] * 200


def test_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with (
        admin_service(tmp_path, f"--endpoint=unix:{path}"),
        closing(socket.socket(socket.AF_UNIX)) as connection,
    ):
        connection.settimeout(PATIENCE)
        connection.connect(str(path))
        body = b"{}"
        connection.sendall(
            b"POST /api/drain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nAuthorization: Bearer %s\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (TOKEN.encode(), len(body), body)
        )
        assert read_all(connection).endswith(b'{"draining":true}\n')


def test_drain(tmp_path: Path) -> None:
    with admin_service(tmp_path) as (_, port):
        assert ask(port, "GET", "/readyz")[0].status == 200
        response, body = ask(port, "POST", "/api/drain", {})
        assert (response.status, json.loads(body)) == (202, {"draining": True})
        assert ask(port, "GET", "/readyz")[0].status == 503
        assert ask(port, "GET", "/healthz")[0].status == 200
        assert stats(port)["draining"] is True
