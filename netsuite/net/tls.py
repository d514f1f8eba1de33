"""TLS over any stream transport, with both directions closed one at a time.

Twisted's own TLS transport ends the connection as soon as the peer says that it will
send no more, and loses what was still to be written. RFC 8446 section 6.1 asks for the
opposite: ``close_notify`` closes the direction it travels in and no other. RFC 5246
section 7.2.1 had asked TLS 1.2 peers to discard pending writes; RFC 8446 names the
truncation that this caused, and what we have to say is finished for them too.

A TCP end-of-stream without ``close_notify`` may be an attacker's doing, so it is never
reported as the end of the data: what was already written is delivered, and the protocol
hears of a lost connection (:class:`~twisted.internet.error.ConnectionLost`).

A handshake has :data:`HANDSHAKE_SECONDS`; a peer that takes longer is disconnected.
"""

from typing import Any

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

#: How long a handshake may take, in seconds.
HANDSHAKE_SECONDS = 30.0

#: How long a peer may take to answer our ``close_notify``, in seconds.
CLOSE_SECONDS = 5.0

_READ_SIZE = 64 * 1024


@implementer(IHalfCloseableProtocol)
class TLSProtocol(BufferingTLSTransport):
    """TLS transport that honours half-close in both directions.

    To the protocol above it is a transport with ``loseWriteConnection``; a protocol that
    provides :class:`~twisted.internet.interfaces.IHalfCloseableProtocol` hears of the
    peer's ``close_notify`` by ``readConnectionLost`` and goes on writing as it likes.
    """

    _log = Logger()
    transport: Any  # any stream transport
    _peer_closed = False
    _write_closing = False
    _closing: IDelayedCall | None = None
    _handshake: IDelayedCall | None = None

    def loseWriteConnection(self) -> None:
        """Send ``close_notify`` once all that was written is out; go on reading."""
        if self._write_closing or self.disconnecting or not self.connected:
            return
        self._write_closing = True
        self._aggregator.flush()
        self._say_close()

    # From the transport below, as its protocol.

    def makeConnection(self, transport: Any) -> None:
        """The connection is made: begin the handshake."""
        self._handshake = self.factory._clock.callLater(HANDSHAKE_SECONDS, self._give_up)
        super().makeConnection(transport)

    def readConnectionLost(self) -> None:
        """The TCP stream ended: with ``close_notify`` before it, go on writing."""
        if self._peer_closed:
            return
        self._aggregator.flush()
        self._say_close()
        if not self.disconnecting:
            self._reason = Failure(ConnectionLost("TLS stream ended without close_notify"))
        self._finish()

    def writeConnectionLost(self) -> None:
        """Our TCP stream is closed behind our ``close_notify``: nothing to do."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        _cancel(self._closing)
        _cancel(self._handshake)
        super().connectionLost(reason)

    # Inside Twisted's class.

    def _shutdownTLS(self) -> None:
        """Say ``close_notify``; the peer's is waited for, but not for ever.

        RFC 8446 section 6.1 does not ask to wait for it. What the peer is still sending
        would reset a connection closed at once, and what we have sent could be lost.
        """
        super()._shutdownTLS()
        if self.disconnecting and self._closing is None and not self._peer_closed:
            self.transport.loseWriteConnection()
            self._closing = self.factory._clock.callLater(
                CLOSE_SECONDS, self.transport.abortConnection
            )

    def _give_up(self) -> None:
        """The handshake is not over, or was refused and the peer does not go away."""
        if self._reason is None:
            problem = f"TLS handshake not over after {HANDSHAKE_SECONDS:g} seconds"
            self._reason = Failure(error.TimeoutError(string=problem))
        self.abortConnection()

    def _checkHandshakeStatus(self) -> None:
        super()._checkHandshakeStatus()
        if self._handshakeDone:
            _cancel(self._handshake)
        if self._write_closing:
            self._say_close()

    def _unbufferPendingWrites(self) -> None:
        super()._unbufferPendingWrites()
        if self._write_closing:
            self._say_close()

    def _flushReceiveBIO(self) -> None:
        while not (self._lostTLSConnection or self._peer_closed):
            try:
                data = self._tlsConnection.recv(_READ_SIZE)
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self._peer_closed = True
                self._read_closed()
            except SSL.Error:
                self._tlsShutdownFinished(Failure())
            else:
                if not self._aborted:
                    self.wrappedProtocol.dataReceived(data)
        if self._tlsConnection is not None:
            self._flushSendBIO()

    def _read_closed(self) -> None:
        """The peer's ``close_notify`` has come."""
        self._aggregator.flush()
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol) and not self.disconnecting:
            try:
                self.wrappedProtocol.readConnectionLost()
            except Exception:  # noqa: BLE001 - the protocol's bug ends its connection only
                self._log.failure("readConnectionLost failed")
                self.abortConnection()
        else:
            self._shutdownTLS()
            if self.connected:  # what is below may have closed at once
                self._finish()

    def _say_close(self) -> None:
        if not self._handshakeDone or self._appSendBuffer:
            return  # called again when that is over
        try:
            self._tlsConnection.shutdown()
        except SSL.Error:
            self._log.debug("close_notify could not be sent")
        self._flushSendBIO()

    def _finish(self) -> None:
        """Deliver what is buffered below, then close, whatever is registered above."""
        producer = self._producer
        if producer is not None:
            self.unregisterProducer()
            producer.stopProducing()
        self._tlsShutdownFinished(None)


def _cancel(call: IDelayedCall | None) -> None:
    if call is not None and call.active():
        call.cancel()


def tls_protocol(factory: TLSMemoryBIOFactory, wrapped: IProtocol | None) -> TLSProtocol | None:
    """One connection's transport, or None where the wrapped factory refuses the peer.

    This is what :attr:`TLSFactory.protocol` holds; assign it to a stock
    :class:`~twisted.protocols.tls.TLSMemoryBIOFactory` to mend that one.
    """
    return None if wrapped is None else TLSProtocol(factory, wrapped)


class TLSFactory(TLSMemoryBIOFactory):
    """Factory of :class:`TLSProtocol`; same arguments as Twisted's.

    A wrapped factory may refuse a peer by returning None.
    """

    protocol = staticmethod(tls_protocol)  # type: ignore[assignment]  # None is an answer
