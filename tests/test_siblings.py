"""Discard, chargen, quote, daytime and time, and all of them over UDP."""

import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from netsuite.echo._wire import CHARGEN_CYCLE, QUOTES
from netsuite.echo.service import SERVICES
from tests.clients import exchange, read_all
from tests.running import PATIENCE, RunningService, run, running, taken_for_udp

EPOCH_1900 = 2_208_988_800


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """All services, each on a port of its own, with UDP."""
    options = [word for name in SERVICES for word in (f"--service={name}", "--port=0")]
    directory = tmp_path_factory.mktemp("siblings")
    with running(directory, "--udp", "--udp-rate=1000000", *options) as service:
        yield service


def port_of(service: RunningService, name: str) -> int:
    return int(service.ports[SERVICES.index(name)])


def connect(service: RunningService, name: str, host: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection((host, port_of(service, name)), PATIENCE)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_time(service: RunningService, host: str) -> None:
    before = int(time.time())
    with connect(service, "time", host) as connection:
        answer = read_all(connection)
    assert len(answer) == 4
    assert before <= int.from_bytes(answer, "big") - EPOCH_1900 <= time.time()


def test_daytime(service: RunningService) -> None:
    with connect(service, "daytime") as connection:
        answer = read_all(connection)
    assert re.fullmatch(rb"\w+day, \w+ \d{1,2}, \d{4} \d\d:\d\d:\d\d-UTC\r\n", answer)


def test_quote(service: RunningService) -> None:
    with connect(service, "quote") as connection:
        assert read_all(connection) in QUOTES


@pytest.mark.parametrize("name", ["quote", "daytime", "time"])
def test_a_client_that_talks_gets_its_answer_all_the_same(
    service: RunningService, name: str
) -> None:
    """Closing with unread input would reset the connection under the answer."""
    for _ in range(50):
        with connect(service, name) as connection:
            connection.sendall(b"what is it?\r\n" * 100)
            assert read_all(connection)


def test_discard(service: RunningService) -> None:
    with connect(service, "discard") as connection:
        assert exchange(connection, bytes(10_000_000)) == b""


def test_chargen(service: RunningService) -> None:
    with connect(service, "chargen") as connection:
        connection.sendall(b"this is thrown away")
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while len(received) < 1_000_000:
            received += connection.recv(100_000)
    expected = CHARGEN_CYCLE * (len(received) // len(CHARGEN_CYCLE) + 1)
    assert received == expected[: len(received)]


def test_chargen_keeps_little_for_a_client_that_does_not_read(service: RunningService) -> None:
    before = service.memory()
    connections = [connect(service, "chargen") for _ in range(50)]
    try:
        with connect(service, "chargen") as reader:
            seen = 0
            while seen < 20_000_000:  # by then the others have what they take
                seen += len(reader.recv(1_000_000))
        assert service.memory() - before < 8 * 1024 * 1024
    finally:
        for connection in connections:
            connection.close()


@contextmanager
def udp_client(family: int = socket.AF_INET) -> Iterator[socket.socket]:
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        yield client


def ask(client: socket.socket, request: bytes, address: tuple[str, int]) -> bytes:
    client.sendto(request, address)
    answer, source = client.recvfrom(65_536)
    assert source[:2] == address, "it must come from where it was asked"
    return answer


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_udp_answers(service: RunningService, family: int, host: str) -> None:
    with udp_client(family) as client:

        def to(name: str, request: bytes) -> bytes:
            return ask(client, request, (host, port_of(service, name)))

        for request in (b"", b"x", b"hello" * 1000, bytes(60_000)):
            assert to("echo", request) == request
        assert to("chargen", bytes(100)) == CHARGEN_CYCLE[:100]
        assert to("chargen", bytes(2000)) == CHARGEN_CYCLE[:512]
        assert to("quote", bytes(512)) in QUOTES
        assert to("daytime", bytes(100)).endswith(b"-UTC\r\n")
        assert abs(int.from_bytes(to("time", bytes(4)), "big") - EPOCH_1900 - time.time()) < 5


def test_udp_answers_from_the_address_that_was_asked(service: RunningService) -> None:
    with udp_client() as client:
        for host in ("127.0.0.1", "127.0.0.2", "127.9.9.9"):
            assert ask(client, b"x", (host, port_of(service, "echo"))) == b"x"


def no_answer(client: socket.socket, service: RunningService) -> None:
    """What was sent before got no answer: the next thing to come is the answer to this."""
    marker = b"marker %d" % time.monotonic_ns()
    # From a socket of its own, so that it is answered whatever the first one's fate.
    with udp_client() as other:
        assert ask(other, marker, ("127.0.0.1", port_of(service, "echo"))) == marker
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recvfrom(65_536)
    client.settimeout(PATIENCE)


def test_udp_says_nothing_longer_than_the_request(service: RunningService) -> None:
    with udp_client() as client:
        for name, request in [
            ("quote", b""),
            ("quote", bytes(20)),
            ("daytime", b""),
            ("time", b""),
        ]:
            client.sendto(request, ("127.0.0.1", port_of(service, name)))
        client.sendto(b"anything", ("127.0.0.1", port_of(service, "discard")))
        no_answer(client, service)


@pytest.mark.parametrize("port", [3702, 5683, 11211, 27960])  # those that need no privileges
def test_udp_does_not_answer_reflectors(service: RunningService, port: int) -> None:
    with udp_client() as client:
        client.bind(("127.0.0.3", port))
        client.sendto(b"loop", ("127.0.0.1", port_of(service, "echo")))
        no_answer(client, service)


def test_udp_does_not_answer_itself(tmp_path: Path) -> None:
    """An echo that is sent something in chargen's name would go on for ever."""
    echo = ("--service=echo", "--port=0", "--interface=127.0.0.1")
    chargen = ("--service=chargen", "--port=0", "--interface=127.0.0.1")
    with running(tmp_path, "--udp", *echo, *chargen) as service, udp_client() as client:
        client.bind(("127.0.0.4", int(service.ports[1])))
        client.sendto(b"loop", ("127.0.0.1", int(service.ports[0])))
        no_answer(client, service)


def test_udp_does_not_answer_broadcast(service: RunningService) -> None:
    with udp_client() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.sendto(b"anyone?", ("127.255.255.255", port_of(service, "echo")))
        no_answer(client, service)


def test_udp_does_not_answer_multicast(service: RunningService) -> None:
    group, interface = socket.inet_aton("239.255.77.77"), socket.inet_aton("127.0.0.1")
    with udp_client() as member, udp_client() as client:
        # Somebody on this machine has joined: Linux then shows it to every wildcard socket.
        member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + interface)
        client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
        client.sendto(b"anyone?", ("239.255.77.77", port_of(service, "echo")))
        no_answer(client, service)
    with udp_client(socket.AF_INET6) as client:
        loopback = socket.if_nametoindex("lo")
        client.setsockopt(
            socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, struct.pack("=I", loopback)
        )
        with suppress(OSError):  # a machine may have no route for it
            client.sendto(b"anyone?", ("ff02::1", port_of(service, "echo")))
        no_answer(client, service)


def test_udp_is_off_unless_asked_for(tmp_path: Path) -> None:
    with running(tmp_path, "--port=0", "--interface=127.0.0.1") as service, udp_client() as client:
        client.connect(("127.0.0.1", service.port))
        client.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            client.recv(10)


def test_udp_has_a_rate(tmp_path: Path) -> None:
    """One a day, two at once: the third gets nothing, whichever address of its /24 asks."""
    with (
        running(tmp_path, "--port=0", "--udp", "--udp-rate=0.00001") as service,
        udp_client() as first,
        udp_client() as second,
        udp_client() as third,
    ):
        address = ("127.0.0.1", service.port)
        second.bind(("127.0.0.77", 0))
        third.bind(("127.0.1.1", 0))
        assert ask(first, b"1", address) == b"1"
        second.sendto(b"2", address)
        first.sendto(b"3", address)
        assert ask(third, b"4", address) == b"4", "another network has a bucket of its own"
        for client in (first, second):
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(10)


def test_udp_port_in_use_stops_all(tmp_path: Path) -> None:
    with taken_for_udp() as port:
        result = run(
            tmp_path, "netsuite", "echo", f"--port={port}", "--interface=127.0.0.1", "--udp"
        )
    assert result.returncode == 1
    assert result.stderr == (
        f"netsuite-echo: echo: cannot listen on UDP 127.0.0.1:{port}: address already in use\n"
    )
