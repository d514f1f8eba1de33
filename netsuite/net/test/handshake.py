"""Handshakes in memory: our server, and Python's TLS as its client."""

import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from netsuite.net.certificates import ServerCertificates, TLSConfig, peer_certificate
from netsuite.net.test.authority import Authority, Issued
from netsuite.net.tls import TLSFactory, TLSProtocol

AUTHORITY = Authority()
LOCAL = IPv4Address("TCP", "192.0.2.1", 443)
PEER = IPv4Address("TCP", "192.0.2.99", 50_000)


@implementer(IHandshakeListener)
class Recorder(Protocol):
    """What a protocol behind TLS sees of its peer."""

    early: object = "not asked"
    shown: object = "not asked"

    def connectionMade(self) -> None:
        self.early = peer_certificate(self.transport)

    def handshakeCompleted(self) -> None:
        self.shown = peer_certificate(self.transport)


class RecorderFactory(Factory):
    def __init__(self) -> None:
        self.protocols: list[Recorder] = []

    def buildProtocol(self, addr: object) -> Recorder:
        self.protocols.append(Recorder())
        return self.protocols[-1]


def client_context(
    identity: Path | None = None,
    *,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    alpn: Sequence[str] = (),
) -> ssl.SSLContext:
    """A client that trusts our authority, and speaks up to ``version``.

    :param identity: what it shows of itself.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=AUTHORITY.pem.decode())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = version
    if identity:
        context.load_cert_chain(identity)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class Connection:
    """A client and its connection to a server of ours.

    :param name: what it asks for; None for a client that does not say.
    """

    def __init__(
        self,
        certificates: ServerCertificates,
        name: str | None = None,
        *,
        context: ssl.SSLContext | None = None,
        factory: RecorderFactory | None = None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        factory = factory or RecorderFactory()
        server = TLSFactory(certificates, False, factory, Clock()).buildProtocol(PEER)
        assert isinstance(server, TLSProtocol)
        self.server = server
        self.recorder = factory.protocols[-1]
        self.transport = StringTransport(hostAddress=LOCAL, peerAddress=PEER)
        self.server.makeConnection(self.transport)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = (context or client_context()).wrap_bio(
            self._in, self._out, server_hostname=name, session=session
        )

    def say(self) -> bytes:
        """The client's next bytes."""
        with suppress(ssl.SSLWantReadError):
            self.client.do_handshake()
        return self._out.read()

    def deliver(self, data: bytes) -> None:
        """Bytes to the server, and its answer to the client."""
        self.server.dataReceived(data)
        self._in.write(self.transport.value())
        self.transport.clear()

    def shake_hands(self) -> "Connection":
        """All of a handshake.

        :raises ssl.SSLError: as the client sees it fail.
        """
        while data := self.say():
            self.deliver(data)
        with suppress(ssl.SSLWantReadError):
            self.client.read()  # refused by TLS 1.3, the client learns it here
        return self

    @property
    def serial(self) -> int:
        """Of the certificate that the server has shown."""
        shown = self.client.getpeercert(binary_form=True)
        assert shown
        return x509.load_der_x509_certificate(shown).serial_number


class CertificatesCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def put(self, name: str, *names: str, **more: Any) -> Issued:
        """A certificate as ``NAME.pem``."""
        issued = AUTHORITY.issue(names, **more)
        issued.write(self.directory / f"{name}.pem")
        return issued

    def load(self, **config: Any) -> ServerCertificates:
        """What is in the directory, unless something else is asked for."""
        if not config.keys() & {"cert", "self_signed"}:
            config.setdefault("directory", self.directory)
        return ServerCertificates(TLSConfig(**config))

    def serial_for(self, certificates: ServerCertificates, name: str | None) -> int:
        """Of the certificate that a client gets who asks for ``name``."""
        return Connection(certificates, name).shake_hands().serial
