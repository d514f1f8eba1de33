"""An SSH client that says what a test has it say, packet by packet, and the server before it."""

import struct
from collections.abc import Collection, Mapping
from copy import copy
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from twisted.conch.ssh import keys
from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.transport import SSHClientTransport
from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from netsuite.line._ssh_channel import SessionChannel
from netsuite.line._ssh_connection import Connection
from netsuite.line._ssh_transport import SSHFactory, SSHProtocol
from netsuite.line.ssh import ssh_factory
from netsuite.line.test._front_app import FrontApp, Transport

SERVICE_REQUEST, SERVICE_ACCEPT, EXT_INFO = 5, 6, 7
USERAUTH_REQUEST, USERAUTH_FAILURE, USERAUTH_SUCCESS, USERAUTH_PK_OK = 50, 51, 52, 60
GLOBAL_REQUEST, REQUEST_FAILURE = 80, 82
CHANNEL_OPEN, CHANNEL_CONFIRMATION, CHANNEL_OPEN_FAILURE = 90, 91, 92
WINDOW_ADJUST, CHANNEL_DATA, CHANNEL_EOF, CHANNEL_CLOSE = 93, 94, 96, 97
CHANNEL_REQUEST, CHANNEL_SUCCESS, CHANNEL_FAILURE = 98, 99, 100

#: A window that is never used up.
HUGE = 2**32 - 1


def new_key() -> keys.Key:
    return keys.Key(Ed25519PrivateKey.generate())


HOST_KEY = new_key()
ALICE = new_key()
MALLORY = new_key()
RSA = keys.Key(generate_private_key(65537, 2048))


def public_line(key: keys.Key) -> str:
    """As ``authorized_keys`` have it."""
    line: bytes = key.public().toString("openssh")
    return line.decode()


class Peer(SSHClientTransport):
    """A client whose packets are the test's.

    :ivar packets: what the server has said, as numbers and payloads, since they were taken.
    :ivar goodbye: why the server closes, if it does.
    """

    _log: Any

    def __init__(self) -> None:
        self.packets: list[tuple[int, bytes]] = []
        self.goodbye: bytes | None = None
        self.is_secure = False

    def verifyHostKey(self, hostKey: bytes, fingerprint: bytes) -> Deferred[Any]:
        return succeed(1)

    def connectionSecure(self) -> None:
        self.is_secure = True

    def dispatchMessage(self, messageNum: int, payload: bytes) -> None:
        if messageNum == 1:
            self.goodbye = getNS(payload[4:])[0]
        elif messageNum >= 50 or messageNum in {SERVICE_ACCEPT, EXT_INFO}:
            self.packets.append((messageNum, payload))
        else:
            super().dispatchMessage(messageNum, payload)


class Exchange:
    """A server and a peer, in memory.

    :ivar reads: whether the peer takes bytes from its transport.
    """

    def __init__(
        self,
        app: FrontApp | None = None,
        *,
        keys_of: Mapping[str, Collection[keys.Key]] | None = None,
        checkers: Collection[ICredentialsChecker] = (),
        **given: Any,
    ) -> None:
        self.app = app or FrontApp()
        self.clock = Clock()
        by_user = {"alice": [ALICE]} if keys_of is None else keys_of
        self.factory: SSHFactory = ssh_factory(
            self.app,
            self.clock,
            host_keys=given.pop("host_keys", [HOST_KEY]),
            authorized_keys={user: [*map(public_line, its)] for user, its in by_user.items()},
            checkers=list(checkers),
            **given,
        )
        self._connect()

    def another(self) -> "Exchange":
        """Another peer of the same server."""
        other = copy(self)
        other._connect()
        return other

    def _connect(self) -> None:
        self.reads = True
        self.to_peer, self.to_server = Transport(), Transport()
        self.server: SSHProtocol = self.factory.buildProtocol(None)
        self.peer = Peer()
        self.server.makeConnection(self.to_peer)
        self.peer.makeConnection(self.to_server)

    def run(self) -> None:
        """Let both say what they have to say."""
        for _ in range(1000):
            self.clock.advance(0)
            moved = False
            if self.to_peer.reading and (data := self.to_server.value()):
                self.to_server.clear()
                self.server.dataReceived(data)
                moved = True
            if self.reads and (data := self.to_peer.take()):
                self.peer.dataReceived(data)
                moved = True
            if not moved:
                return

    def send(self, number: int, payload: bytes) -> None:
        self.peer.sendPacket(number, payload)

    def take(self) -> list[tuple[int, bytes]]:
        """What the server has said since this was last asked."""
        self.run()
        packets, self.peer.packets = self.peer.packets, []
        return packets

    def secure(self) -> None:
        """Exchange keys, and ask for the first service."""
        self.run()
        assert self.peer.is_secure
        self.send(SERVICE_REQUEST, NS(b"ssh-userauth"))
        assert [each for each, _ in self.take() if each != EXT_INFO] == [SERVICE_ACCEPT]

    # Coming in.

    def try_password(self, user: str, password: bytes) -> list[int]:
        """The numbers of the answers."""
        return self.ask_to_come_in(user, b"password", b"\0" + NS(password))

    def ask_to_come_in(self, user: str, method: bytes, data: bytes) -> list[int]:
        """The numbers of the answers."""
        self.send(USERAUTH_REQUEST, NS(user.encode()) + NS(b"ssh-connection") + NS(method) + data)
        return [number for number, _ in self.take()]

    def show_key(self, user: str, key: keys.Key) -> list[int]:
        data = b"\0" + NS(key.sshType()) + NS(key.public().blob())
        return self.ask_to_come_in(user, b"publickey", data)

    def sign(self, user: str, key: keys.Key, algorithm: bytes | None = None) -> list[int]:
        algorithm = algorithm or key.sshType()
        what = NS(user.encode()) + NS(b"ssh-connection") + NS(b"publickey")
        data = b"\1" + NS(algorithm) + NS(key.public().blob())
        signed = NS(self.peer.sessionID or b"") + bytes([USERAUTH_REQUEST]) + what + data
        signature = key.sign(signed, algorithm)
        return self.ask_to_come_in(user, b"publickey", data + NS(signature))

    def come_in(self) -> None:
        self.secure()
        assert self.sign("alice", ALICE) == [USERAUTH_SUCCESS]

    # Channels.

    @property
    def channels(self) -> dict[int, SessionChannel]:
        """The server's."""
        connection = self.server.service
        assert isinstance(connection, Connection)
        return connection.channels

    def open(self, window: int = HUGE, packet: int = 32768, kind: bytes = b"session") -> int | None:
        """The server's number of a new channel; None if there is none."""
        self.send(CHANNEL_OPEN, NS(kind) + struct.pack(">3L", 7, window, packet))
        for number, payload in self.take():
            if number == CHANNEL_CONFIRMATION:
                return int.from_bytes(payload[4:8], "big")
            assert number == CHANNEL_OPEN_FAILURE
        return None

    def request(self, channel: int, name: bytes, data: bytes = b"") -> bool:
        """Whether the server does what it is asked for. What else it says stays to be taken."""
        self.send(CHANNEL_REQUEST, struct.pack(">L", channel) + NS(name) + b"\1" + data)
        self.run()
        for at, (number, _) in enumerate(self.peer.packets):
            if number in {CHANNEL_SUCCESS, CHANNEL_FAILURE}:
                del self.peer.packets[at]
                return number == CHANNEL_SUCCESS
        raise AssertionError("no answer")

    def pty(self, channel: int, columns: int = 80, name: bytes = b"xterm") -> bool:
        size = struct.pack(">4L", columns, 24, 0, 0)
        return self.request(channel, b"pty-req", NS(name) + size + NS(b""))

    def shell(self, window: int = HUGE) -> int:
        channel = self.open(window)
        assert channel is not None
        assert self.request(channel, b"shell")
        return channel

    def say(self, channel: int, data: bytes) -> bytes:
        """Send data, and take what is said on all channels."""
        self.send(CHANNEL_DATA, struct.pack(">L", channel) + NS(data))
        return self.said()

    def said(self) -> bytes:
        return b"".join(
            getNS(payload[4:])[0] for number, payload in self.take() if number == CHANNEL_DATA
        )

    def end_of_file(self, channel: int) -> None:
        self.send(CHANNEL_EOF, struct.pack(">L", channel))

    def close(self, channel: int) -> None:
        self.send(CHANNEL_CLOSE, struct.pack(">L", channel))

    def command(self, text: bytes, *, pty: bool = False, stdin: bytes = b"") -> tuple[bytes, int]:
        """Give a command: what is said, and its exit status."""
        channel = self.open()
        assert channel is not None
        if pty:
            assert self.pty(channel)
        assert self.request(channel, b"exec", NS(text))
        if stdin:
            self.send(CHANNEL_DATA, struct.pack(">L", channel) + NS(stdin))
        self.end_of_file(channel)
        packets = self.take()
        said = b"".join(getNS(payload[4:])[0] for each, payload in packets if each == CHANNEL_DATA)
        numbers = [each for each, _ in packets if each != CHANNEL_DATA]
        assert numbers == [CHANNEL_REQUEST, CHANNEL_EOF, CHANNEL_CLOSE], numbers
        self.close(channel)
        status = next(payload for each, payload in packets if each == CHANNEL_REQUEST)
        assert getNS(status[4:])[0] == b"exit-status"
        return said, int.from_bytes(status[-4:], "big")
