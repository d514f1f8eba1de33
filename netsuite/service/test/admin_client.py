"""A client of the admin site in memory."""

import gzip
import json
from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from netsuite.service.admin import AdminSite, build_admin_site
from netsuite.service.test.admin_source import FakeSource

TOKEN = "correct-horse-battery"
START = 1_795_000_000.0


@dataclass
class Reply:
    """An answer as the client reads it."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def unpacked(self) -> bytes:
        return gzip.decompress(self.body)


def parse(data: bytes, *, head: bool = False) -> tuple[Reply, bytes]:
    """The first answer in ``data``, and what follows it."""
    top, _, rest = data.partition(b"\r\n\r\n")
    status, *lines = top.decode("ascii").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(headers) == len(lines), f"a header occurs twice: {lines}"
    length = 0 if head else int(headers["Content-Length"])
    assert len(rest) >= length, f"expected {length} bytes: {rest!r}"
    return Reply(int(status.split()[1]), headers, rest[:length]), rest[length:]


class Transport(StringTransport):
    """One that knows whether it was cut."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class Connection:
    """One connection to a site."""

    def __init__(self, site: AdminSite, peer: IAddress, host: IAddress) -> None:
        self.transport = Transport(hostAddress=host, peerAddress=peer)
        channel: Any = site.buildProtocol(peer)
        self.channel = channel
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.channel.dataReceived(data)

    def received(self) -> bytes:
        data: bytes = self.transport.value()
        return data

    def replies(self) -> list[Reply]:
        data, replies = self.received(), []
        while data:
            reply, data = parse(data)
            replies.append(reply)
        return replies

    def lose(self) -> None:
        self.channel.connectionLost(Failure(ConnectionDone()))


class Client:
    """Makes requests, each on a connection of its own."""

    def __init__(self, allowed_hosts: tuple[str, ...] = ()) -> None:
        self.clock = Clock()
        self.source = FakeSource()
        clock = self.clock
        self.site = build_admin_site(
            self.source, TOKEN, clock, clock.seconds, allowed_hosts, lambda: START + clock.seconds()
        )
        self.peer: IAddress = IPv4Address("TCP", "192.0.2.1", 5000)
        self.host: IAddress = IPv4Address("TCP", "127.0.0.1", 9100)

    def connect(self) -> Connection:
        return Connection(self.site, self.peer, self.host)

    def request(
        self, method: str, path: str, body: bytes = b"", **headers: str | None
    ) -> Connection:
        """Send a request; a header that is None is left out."""
        lines = {"Host": "localhost:9100", "Content_Length": str(len(body)) if body else None}
        lines |= headers
        head = [f"{method} {path} HTTP/1.1"]
        head += [f"{name.replace('_', '-')}: {value}" for name, value in lines.items() if value]
        connection = self.connect()
        connection.send("\r\n".join([*head, "", ""]).encode("latin-1") + body)
        return connection

    def get(self, path: str, **headers: Any) -> Reply:
        [reply] = self.request("GET", path, **headers).replies()
        return reply

    def post(self, path: str, value: object = None, **headers: Any) -> Reply:
        """Post JSON with the token, unless headers say otherwise."""
        body = value if isinstance(value, bytes) else json.dumps(value or {}).encode()
        headers.setdefault("Content_Type", "application/json")
        headers.setdefault("Authorization", f"Bearer {TOKEN}")
        [reply] = self.request("POST", path, body, **headers).replies()
        return reply
