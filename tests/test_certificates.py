"""Certificates, seen by the programs that check them, and swapped under load."""

import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from netsuite.net.test.authority import Authority, Issued
from tests.forking import Forked
from tests.running import PATIENCE, ROOT, environment, wait_for

AUTHORITY = Authority()
CLIENTS = 4
SWAPS = 12


class Server:
    """A server in a process of its own.

    :ivar port: where it listens.
    """

    def __init__(self, process: Forked, output: Path) -> None:
        self.process = process
        self._output = output
        self.port = int(wait_for(lambda: self.said("port"), "the port")[0])

    def said(self, what: str) -> list[Any]:
        """All that it has said of one thing."""
        assert self.process.poll() is None, self._output.read_text()
        lines = self._output.read_text().splitlines(keepends=True)
        said = (json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n"))
        return [fields[what] for fields in said if what in fields]

    def wait_for_another(self, what: str, do: Callable[[], object]) -> None:
        """Do something, and wait until it has said more of ``what``."""
        before = len(self.said(what))
        do()
        wait_for(lambda: len(self.said(what)) > before, f"{what} from the server")


@contextmanager
def serving(place: Path, **config: object) -> Iterator[Server]:
    """A server with this configuration, until the block ends.

    :param place: where it writes.
    """
    output = place / "output.txt"
    arguments = json.dumps(config, default=str)
    with (
        output.open("w") as file,
        Forked(
            [sys.executable, "-m", "tests.certificates_server", arguments],
            cwd=ROOT,
            env=environment(),
            stdout=file,
            stderr=file,
        ) as process,
    ):
        try:
            yield Server(process, output)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our authority's certificate."""
    path = tmp_path_factory.mktemp("authority") / "ca.crt"
    path.write_bytes(AUTHORITY.pem)
    return path


def client_context(
    authority: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority))
    context.maximum_version = version
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default since Python 3.13
    return context


def serial_at(server: Server, name: str, context: ssl.SSLContext) -> int:
    """Of the certificate that is there for ``name``, checked like a browser does."""
    with (
        socket.create_connection(("127.0.0.1", server.port), PATIENCE) as connection,
        context.wrap_socket(connection, server_hostname=name) as tls,
    ):
        shown = tls.getpeercert(binary_form=True)
        tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while data := tls.recv(4096):
            answer += data
    assert answer.startswith(b"HTTP/1.0 200 OK"), answer
    assert shown
    return x509.load_der_x509_certificate(shown).serial_number


def s_client(server: Server, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def serial_of(result: "subprocess.CompletedProcess[str]") -> int:
    """Of the certificate that ``openssl s_client`` has printed."""
    match = re.search(r"-----BEGIN.*?END CERTIFICATE-----\n", result.stdout, re.DOTALL)
    assert match, result.stdout + result.stderr
    return x509.load_pem_x509_certificate(match[0].encode()).serial_number


def curl(
    server: Server, authority: Path, *options: object, name: str = "one.example"
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--cacert", authority, "--http1.1"),
            *("--noproxy", "*", "--resolve", f"{name}:{server.port}:127.0.0.1"),
            *(*map(str, options), f"https://{name}:{server.port}/"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture(scope="module")
def issued() -> dict[str, Issued]:
    return {
        "one.example": AUTHORITY.issue(["one.example"]),
        "two.example": Authority("Between", AUTHORITY).issue(["two.example", "*.two.example"]),
        "127.0.0.1": AUTHORITY.issue(["three.example", "127.0.0.1"]),
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, issued: dict[str, Issued]) -> Iterator[Server]:
    """Three certificates, and nothing asked of clients."""
    directory = tmp_path_factory.mktemp("server")
    (directory / "certs").mkdir()
    for name, each in issued.items():
        each.write(directory / "certs" / f"{name.replace('127', 'z127')}.pem")
    with serving(directory, directory=directory / "certs", alpn=["http/1.1", "echo"]) as server:
        yield server


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one.example", "one.example"),
        ("ONE.EXAMPLE", "one.example"),
        ("two.example", "two.example"),
        ("www.two.example", "two.example"),
        ("a.www.two.example", "one.example"),
        ("unknown.example", "one.example"),
        ("127.0.0.1", "127.0.0.1"),
        (None, "127.0.0.1"),
    ],
)
def test_openssl_gets_the_certificate_for_a_name(
    server: Server, issued: dict[str, Issued], name: str | None, expected: str, version: str
) -> None:
    asking = ["-noservername"] if name is None else ["-servername", name]
    result = s_client(server, *asking, version)
    assert serial_of(result) == issued[expected].serial


def test_openssl_begins_with_a_group_that_is_not_ours_to_choose(
    server: Server, issued: dict[str, Issued]
) -> None:
    """The server asks for another hello, and looks at the name again."""
    result = s_client(server, "-servername", "two.example", "-groups", "P-521:X25519", "-msg")
    assert serial_of(result) == issued["two.example"].serial


def test_openssl_checks_the_chain(server: Server, authority: Path) -> None:
    result = s_client(
        server,
        *("-servername", "www.two.example", "-CAfile", str(authority), "-verify_return_error"),
        *("-verify_hostname", "www.two.example"),
    )
    assert "Verify return code: 0 (ok)" in result.stdout


def test_openssl_resumes(server: Server, tmp_path: Path) -> None:
    session = str(tmp_path / "session")
    first = s_client(server, "-tls1_2", "-servername", "two.example", "-sess_out", session)
    assert "New, TLSv1.2" in first.stdout
    again = s_client(server, "-tls1_2", "-servername", "two.example", "-sess_in", session)
    assert "Reused, TLSv1.2" in again.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "alert protocol version"),
        (["-tls1_2", "-cipher", "AES128-SHA:ECDHE-ECDSA-AES128-SHA"], "alert handshake failure"),
        (["-alpn", "h2,spdy/1"], "no application protocol"),
    ],
)
def test_openssl_is_refused(server: Server, options: list[str], says: str) -> None:
    result = s_client(server, *options)
    assert result.returncode != 0
    assert says in result.stderr


def test_openssl_agrees_on_a_protocol(server: Server) -> None:
    result = s_client(server, "-servername", "two.example", "-alpn", "echo,http/1.1")
    assert "ALPN protocol: http/1.1" in result.stdout


def test_openssl_cannot_renegotiate(server: Server) -> None:
    result = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2"],
        input="R\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "no renegotiation" in result.stderr


@pytest.mark.parametrize("name", ["one.example", "www.two.example"])
def test_curl_trusts_it(server: Server, authority: Path, name: str) -> None:
    result = curl(server, authority, name=name)
    assert (result.stdout, result.stderr) == ('{"client": null}\n', "")


def test_python_by_address(server: Server, authority: Path, issued: dict[str, Issued]) -> None:
    serial = serial_at(server, "127.0.0.1", client_context(authority))
    assert serial == issued["127.0.0.1"].serial


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl_shows_a_certificate(tmp_path: Path, authority: Path, version: str) -> None:
    cert = AUTHORITY.issue(["one.example"]).write(tmp_path / "cert.pem")
    mine = AUTHORITY.issue(subject="alice", client=True).write(tmp_path / "alice.pem")
    theirs = Authority("Other").issue(subject="mallory", client=True)
    theirs.write(tmp_path / "mallory.pem")
    with serving(tmp_path, cert=cert, client_ca=authority) as server:
        tls = ["--tls-max", version]
        result = curl(server, authority, *tls, "--cert", mine)
        assert (result.stdout, result.stderr) == ('{"client": "CN=alice"}\n', "")
        assert "alert" in curl(server, authority, *tls).stderr
        result = curl(server, authority, *tls, "--cert", tmp_path / "mallory.pem")
        assert "alert unknown ca" in result.stderr
    with serving(tmp_path, cert=cert, client_ca=authority, client="optional") as server:
        assert "alice" in curl(server, authority, "--cert", mine).stdout
        assert curl(server, authority).stdout == '{"client": null}\n'
        result = curl(server, authority, "--cert", tmp_path / "mallory.pem")
        assert "alert unknown ca" in result.stderr


def test_a_self_signed_one_as_the_log_says_to_trust_it(tmp_path: Path) -> None:
    with serving(tmp_path, self_signed=True) as server:
        result = s_client(server)
        pem = re.search(r"-----BEGIN.*?END CERTIFICATE-----\n", result.stdout, re.DOTALL)
        assert pem
        trusted = tmp_path / "dev.pem"
        trusted.write_text(pem[0])
        for name in ("localhost", "127.0.0.1"):
            assert curl(server, trusted, name=name).stdout == '{"client": null}\n'
            serial_at(server, name, client_context(trusted))


class Load:
    """Clients that do nothing but connect, each in a thread.

    :ivar failures: what went wrong, of which there must be nothing.
    """

    def __init__(self, server: Server, authority: Path, names: list[str]) -> None:
        self.failures: list[str] = []
        self.handshakes = 0
        self._server = server
        self._authority = authority
        self._seen: dict[str, list[int]] = {name: [] for name in names}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(name, version))
            for name in names
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
            for _ in range(CLIENTS // 2)
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _run(self, name: str, version: ssl.TLSVersion) -> None:
        context = client_context(self._authority, version)
        while not self._stop.is_set():
            try:
                self._seen[name].append(serial_at(self._server, name, context))
            except (OSError, AssertionError) as error:
                self.failures.append(f"{name} at {time.monotonic()}: {error!r}")
                return
            self.handshakes += 1

    def seen(self, name: str) -> set[int]:
        """The certificates that clients have got for a name."""
        return set(self._seen[name])

    def wait_for_more(self) -> None:
        """Until each thread has had time for a handshake that began after now."""
        enough = self.handshakes + 3 * len(self._threads)
        wait_for(lambda: self.failures or self.handshakes >= enough, "handshakes")
        assert self.failures == []

    def wait_for_serial(self, name: str, serial: int) -> None:
        wait_for(lambda: self.failures or serial in self.seen(name), f"{serial} for {name}")
        assert self.failures == []


def replace(path: Path, data: bytes) -> None:
    """In one step."""
    new = path.with_name("new")
    new.write_bytes(data)
    new.rename(path)


def test_certificates_are_swapped_under_load(tmp_path: Path, authority: Path) -> None:
    """No handshake fails, whatever is done to the files, and the newest is served.

    One certificate is replaced in one step. The other has its key and its chain written in
    place, one after the other and in pieces, with reloads asked for at the worst moments.
    """
    certs = tmp_path / "certs"
    certs.mkdir()
    between = Authority("Between", AUTHORITY)
    old = {name: between.issue([name]) for name in ("one.example", "two.example")}
    one, two = certs / "one.pem", certs / "two"
    old["one.example"].write(one)
    old["two.example"].write_certbot(two)
    chain, key = two / "fullchain.pem", two / "privkey.pem"
    served = {name: [each.serial] for name, each in old.items()}
    with (
        serving(tmp_path, directory=certs) as server,
        Load(server, authority, list(old)) as load,
    ):
        load.wait_for_more()
        for swap in range(SWAPS):
            new = between.issue(["one.example"])
            replace(one, new.pem)
            served["one.example"].append(new.serial)
            load.wait_for_serial("one.example", new.serial)

            new = between.issue(["two.example"])
            # In the first certificate, or in the second: just between them nobody could tell.
            half = 200 if swap % 2 else len(new.cert_pem) - 200
            server.wait_for_another("error", partial(key.write_bytes, new.key_pem))
            with chain.open("wb", buffering=0) as file:
                file.write(new.cert_pem[:half])
                hang_up = partial(server.process.send_signal, signal.SIGHUP)
                server.wait_for_another("error", hang_up)
                load.wait_for_more()
                file.write(new.cert_pem[half:])
            served["two.example"].append(new.serial)
            load.wait_for_serial("two.example", new.serial)
        load.wait_for_more()
    assert load.failures == []
    for name, serials in served.items():
        assert load.seen(name) == set(serials), name
