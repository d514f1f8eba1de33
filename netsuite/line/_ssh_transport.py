"""One SSH connection on its transport (RFC 4253), on conch's, within bounds.

What conch leaves open, and is closed here: algorithms of the past and compression (a peer's small
packet may inflate without bound); the time until a peer has come in; packets out of turn,
which conch would queue during a key exchange or take unencrypted; a second ``ssh-userauth``, which
would begin to count attempts anew; writing without an end to a peer that does not read;
exceptions for packets that are none; and what it logs.
"""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.conch.ssh.service import SSHService
from twisted.conch.ssh.transport import (
    DISCONNECT_BY_APPLICATION,
    DISCONNECT_PROTOCOL_ERROR,
    SSHServerTransport,
)
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.portal import Portal
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from netsuite.line._failures import Delay, Guard
from netsuite.line._front import SessionFactory, send_at_once
from netsuite.line._ssh_auth import Realm, Roles, UserAuth
from netsuite.line._ssh_channel import LINGER_SECONDS
from netsuite.line._ssh_connection import Connection
from netsuite.line._ssh_keys import SIGNATURES, HostKeys
from netsuite.line._ssh_log import PeersLogger
from netsuite.line.app import LineApp
from netsuite.line.protocol import shown_address
from netsuite.net import ConnectionCounters, StreamTransport

_KEY_EXCHANGES = (
    b"mlkem768x25519-sha256",
    b"curve25519-sha256",
    b"curve25519-sha256@libssh.org",
    b"ecdh-sha2-nistp256",
    b"ecdh-sha2-nistp384",
    b"ecdh-sha2-nistp521",
)
_CIPHERS = (b"aes256-ctr", b"aes192-ctr", b"aes128-ctr")
_MACS = (b"hmac-sha2-512", b"hmac-sha2-256")

#: Bytes that a packet may have which is not complete. RFC 4253 section 6.1 asks for 35,000.
_MOST_HELD = 128 * 1024

#: Messages of every time; and the first ones that are for services.
_TRANSPORT_MESSAGES = 4
_KEX_MESSAGES = range(20, 50)

#: Seconds that a peer has to go by itself, once it has no more sessions and we drain.
_GOODBYE_SECONDS = 1.0


def _of(wanted: Sequence[bytes], there: Sequence[bytes]) -> list[bytes]:
    return [each for each in wanted if each in there]


@implementer(IHandshakeListener, IPushProducer)
class SSHProtocol(SSHServerTransport):
    """One SSH connection."""

    _log = PeersLogger()
    _ours = Logger()
    factory: "SSHFactory"  # type: ignore[assignment]  # ours has all that is asked of it
    transport: StreamTransport  # type: ignore[assignment]  # Twisted's says less
    version = b"netsuite"
    ourVersionString = b"SSH-2.0-netsuite"
    supportedKeyExchanges = _of(_KEY_EXCHANGES, SSHServerTransport.supportedKeyExchanges)
    supportedCiphers = _of(_CIPHERS, SSHServerTransport.supportedCiphers)
    supportedMACs = _of(_MACS, SSHServerTransport.supportedMACs)
    supportedCompressions = [b"none"]

    def __init__(self) -> None:
        #: Payload bytes of the sessions.
        self.bytes_received = 0
        self.bytes_sent = 0
        #: Whether the connection is over, or will be once the peer has read why.
        self.is_over = False
        self.peer = ""
        #: The peer's IP address; ``""`` if it has none.
        self.host = ""
        self._full = False
        self._shaking_hands = False
        self._draining = False
        self._services = 0
        self._timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Begin the key exchange; the peer has its time to come in."""
        factory = self.factory
        self.supportedPublicKeys = list(factory.algorithms)
        peer = self.transport.getPeer()
        self.peer, self.host = shown_address(peer), getattr(peer, "host", "")
        factory.counters.connection_opened(self)
        self._shaking_hands = ISSLTransport.providedBy(self.transport)
        send_at_once(self.transport)
        self.transport.registerProducer(self, True)
        self._in(factory.login_time, self._not_in_time)
        super().connectionMade()

    def connectionLost(self, reason: Failure | None = connectionDone) -> None:
        """All is over."""
        self.is_over = True
        self._end_timer()
        super().connectionLost(reason)
        self.factory.counters.connection_closed(self)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes."""
        if self.is_over:
            return
        try:
            super().dataReceived(data)
        except Exception as error:  # noqa: BLE001 - conch raises whatever a packet makes of it
            self.broken(error)
        if len(self.buf) > _MOST_HELD:
            self.buf = b""
            self._refuse(b"packet too long")

    def dispatchMessage(self, messageNum: int, payload: bytes) -> None:
        """Take a packet that is in its turn: no services while keys are exchanged."""
        if self.is_over:
            return
        exchanging = self._keyExchangeState != self._KEY_EXCHANGE_NONE
        always = messageNum <= _TRANSPORT_MESSAGES or messageNum in _KEX_MESSAGES
        if exchanging and not always:
            self._refuse(b"packet out of turn")
        else:
            super().dispatchMessage(messageNum, payload)

    def broken(self, error: Exception) -> None:
        """The peer has sent a packet that is none."""
        self._ours.info("{peer} sent a broken packet: {error!r}", peer=self.peer, error=error)
        self._refuse(b"broken packet")

    def _refuse(self, why: bytes) -> None:
        self.sendDisconnect(DISCONNECT_PROTOCOL_ERROR, why)

    def ssh_KEXINIT(self, packet: bytes) -> None:
        """Keys are exchanged: nothing else is sent until they are."""
        super().ssh_KEXINIT(packet)
        self._takes_changed()

    def _newKeys(self) -> None:
        super()._newKeys()
        self._takes_changed()

    def sendExtInfo(self, extensions: list[tuple[bytes, bytes]]) -> None:
        """Say what signatures of people we take; conch would say the host keys' (RFC 8308)."""
        super().sendExtInfo([(b"server-sig-algs", b",".join(SIGNATURES))])

    def sendDisconnect(self, reason: int, desc: bytes) -> None:
        """Say why, and close."""
        if not self.is_over:
            self._close()
            super().sendDisconnect(reason, desc)

    def handshakeCompleted(self) -> None:
        """TLS below has begun: what comes from now on is read when we like."""
        self._shaking_hands = False
        if self._full:
            self.transport.pauseProducing()

    def ssh_DISCONNECT(self, packet: bytes) -> None:
        """The peer says why, and closes."""
        self._close()
        super().ssh_DISCONNECT(packet)

    def _close(self) -> None:
        self.is_over = True
        self.transport.unregisterProducer()
        self._in(LINGER_SECONDS, self.abort)

    def abort(self) -> None:
        """Close at once."""
        self.is_over = True
        self.transport.abortConnection()

    # The transport's producer.

    @property
    def takes_more(self) -> bool:
        """Whether sessions may send now."""
        return not self._full and self._keyExchangeState == self._KEY_EXCHANGE_NONE

    def pauseProducing(self) -> None:
        """The transport has enough to send: no session sends, and nothing is read."""
        self._full = True
        if not self._shaking_hands:  # what is written waits for the handshake, which has to be read
            self.transport.pauseProducing()
        self._takes_changed()

    def resumeProducing(self) -> None:
        """The transport has sent it."""
        self._full = False
        self.transport.resumeProducing()
        self._takes_changed()

    def stopProducing(self) -> None:
        """The connection is gone; :meth:`connectionLost` follows."""

    def _takes_changed(self) -> None:
        if isinstance(self.service, Connection):
            self.service.send_on()

    # For the connection.

    def channel_opened(self) -> None:
        """There is something to be here for."""
        self._end_timer()

    def channel_closed(self, left: int) -> None:
        """There is something less; the peer may go, or open another channel in its time."""
        if left or self.is_over:
            return
        if self._draining:
            self._in(_GOODBYE_SECONDS, self._say_goodbye)
        elif self.factory.sessions.idle is not None:
            self._in(self.factory.sessions.idle, self._not_used)

    # For the daemon.

    def drain(self, clock: IReactorTime, grace: float) -> None:
        """Answer what has come in, then close."""
        self._draining = True
        self._to_sessions("drain", clock, grace)

    def expire(self, reason: str) -> None:
        """Time is up: say so, and close."""
        self._draining = True
        self._to_sessions("expire", reason)

    def _to_sessions(self, name: str, *arguments: Any) -> None:
        service = self.service
        if not isinstance(service, Connection) or not service.channels:
            self._say_goodbye()
            return
        service.is_draining = True
        for channel in list(service.channels.values()):
            channel.to_application(name, *arguments)

    # Time.

    def _in(self, seconds: float, function: Callable[[], object]) -> None:
        self._end_timer()
        self._timer = self.factory.clock.callLater(seconds, function)

    def _end_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _not_in_time(self) -> None:
        self._ours.info("{peer} did not come in within its time", peer=self.peer)
        self.sendDisconnect(DISCONNECT_BY_APPLICATION, b"login time is over")

    def _not_used(self) -> None:
        self.sendDisconnect(DISCONNECT_BY_APPLICATION, b"no session for too long")

    def _say_goodbye(self) -> None:
        self.sendDisconnect(DISCONNECT_BY_APPLICATION, b"shutting down")

    def service_of(self, name: bytes) -> type[SSHService] | None:
        """The service that a peer may have by now: each once, so that attempts are counted."""
        expected = (b"ssh-userauth", UserAuth), (b"ssh-connection", Connection)
        came_in = hasattr(self, "avatar")
        if self._services > came_in or name != expected[came_in][0]:
            return None
        self._services = came_in + 1
        return expected[came_in][1]


class SSHFactory(Factory):
    """Serves a line application over SSH; see :func:`netsuite.line.ssh.ssh_factory`.

    :ivar counters: totals of the connections; bytes are those of the sessions.
    :ivar sessions: what serves shells; its ``idle`` is the limit on silence.
    :ivar commands: what serves commands that are given with the connection.
    """

    noisy = False

    def __init__(
        self,
        app: LineApp,
        clock: IReactorTime,
        host_keys: HostKeys,
        checkers: Sequence[ICredentialsChecker],
        roles: Sequence[Roles],
        *,
        delay: Delay,
        attempts: int,
        login_time: float,
        channels: int,
    ) -> None:
        self.clock = clock
        self.counters = ConnectionCounters()
        self.sessions = SessionFactory(app, clock)
        self.commands = CommandFactory(app, clock)
        self.commands.counters = self.sessions.counters
        self._host_keys = host_keys
        self._use_host_keys()
        self.portal = Portal(Realm(roles), checkers)
        self.guard = Guard(delay)
        self.attempts = attempts
        self.login_time = login_time
        self.channels = channels

    def _use_host_keys(self) -> None:
        keys = self._host_keys.keys
        self.privateKeys = {key.sshType(): key for key in keys}
        self.publicKeys = {name: key.public() for name, key in self.privateKeys.items()}
        signs = [name for key in keys for name in key.supportedSignatureAlgorithms()]
        #: How host keys sign.
        self.algorithms = tuple(name for name in signs if name in SIGNATURES)

    def save_host_keys(self) -> None:
        """Write host keys that were made and are in no file yet.

        :raises SSHError: for a file that cannot be written.
        """
        self._host_keys.save()
        self._use_host_keys()

    def startFactory(self) -> None:
        """Connections will come."""
        self.save_host_keys()

    def buildProtocol(self, addr: IAddress | None) -> SSHProtocol:  # type: ignore[override]
        """A protocol for one connection."""
        protocol = SSHProtocol()
        protocol.factory = self
        return protocol

    def getService(self, transport: SSHProtocol, service: bytes) -> type[SSHService] | None:
        """What a peer gets that asks for a service, or has come in for it."""
        return transport.service_of(service)


class CommandFactory(SessionFactory):
    """Sessions of one command, whose peer is not greeted."""

    @property
    def greeting(self) -> None:
        """Nothing is said first."""
