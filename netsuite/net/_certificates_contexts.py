"""OpenSSL contexts for servers: one for each certificate, and which one a client gets."""

from collections.abc import Sequence
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.logger import Logger

from netsuite.net._certificates_config import CertificateError, TLSConfig
from netsuite.net._certificates_files import Authorities, Credential
from netsuite.net._certificates_names import NameIndex

#: For TLS 1.2: forward secrecy and authenticated encryption, nothing else. What TLS 1.3 has
#: is all like that.
CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"

#: How many certificates a client may put between its own and one that we trust.
CHAIN_DEPTH = 5

#: As much of a peer's text as goes into a log line.
LOGGED_NAME = 200

_VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
_OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE

# OpenSSL wants a name for those whose sessions may be resumed here. What keeps the sessions of
# one load from another is that each has a ticket key of its own.
_SESSION_CONTEXT = b"netsuite"

# How OpenSSL, and what is around it, refuses what cryptography has taken.
_REFUSALS = (SSL.Error, crypto.Error, ValueError, TypeError)

# From x509_vfy.h; pyOpenSSL has no text for them outside of its own verification.
_VERIFY_ERRORS = {
    3: "no revocation list of its issuer",
    9: "not yet valid",
    10: "expired",
    12: "the revocation list of its issuer is out of date",
    18: "self-signed and not among the trusted",
    19: "from an authority that is not trusted",
    20: "from an authority that is not trusted",
    21: "from an authority that is not trusted",
    22: "too many authorities between it and a trusted one",
    23: "revoked",
    26: "not meant for clients",
}


class ServerContexts:
    """The contexts of one load. A connection keeps those it began with.

    :param credentials: the first is the default.
    :raises CertificateError: for what OpenSSL refuses.
    """

    _log = Logger()

    def __init__(
        self,
        config: TLSConfig,
        credentials: Sequence[Credential],
        authorities: Authorities | None,
    ) -> None:
        self._alpn = tuple(name.encode() for name in config.alpn)
        contexts = [_context(config, each, authorities) for each in credentials]
        for context in contexts:
            # A connection that was switched holds only the context that it was switched to,
            # while OpenSSL still calls back by the first one: neither may go before the other.
            context.set_app_data(self)
            context.set_alpn_select_callback(self._select_protocol)
            if authorities:
                context.set_verify(_verify_mode(config), self._log_verification)
        self._default = contexts[0]
        self._default.set_tlsext_servername_callback(self._select_certificate)
        # Of two for one name, the one that ends last; then the one that was named first.
        order = sorted(
            range(len(contexts)),
            key=lambda i: credentials[i].leaf.not_valid_after_utc,
            reverse=True,
        )
        self._by_name = NameIndex((credentials[i].names, contexts[i]) for i in order)

    def connection(self) -> SSL.Connection:
        """A new connection, on memory, with the default certificate so far."""
        return SSL.Connection(self._default, None)

    def _select_certificate(self, connection: SSL.Connection) -> None:
        """The client has said which name it wants; with none, it came to an address."""
        name = connection.get_servername() or _local_address(connection)
        context = self._by_name.find(name) if name else None
        if context is not None and context is not self._default:
            connection.set_context(context)

    def _select_protocol(self, connection: SSL.Connection, offered: list[bytes]) -> Any:
        """RFC 7301 section 3.2: our preference; without any in common, no connection."""
        acceptable = self._alpn or _factory_protocols(connection)
        if not acceptable:
            return SSL.NO_OVERLAPPING_PROTOCOLS  # nobody here cares
        for name in acceptable:
            if name in offered:
                return name
        # An exception makes it the alert no_application_protocol, and this one is then raised
        # by what drives the handshake.
        raise SSL.Error([("SSL routines", "", "no application protocol in common")])

    def _log_verification(
        self, connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int
    ) -> bool:
        if not ok:
            self._log.info(
                "{peer} refused: its certificate {subject}, {position}, is {reason}",
                peer=_peer_address(connection),
                subject=_subject(certificate),
                position="its own" if depth == 0 else f"authority {depth}",
                reason=_VERIFY_ERRORS.get(error, f"refused by OpenSSL (error {error})"),
            )
        return bool(ok)


def _context(
    config: TLSConfig, credential: Credential, authorities: Authorities | None
) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(_VERSIONS[config.min_version])
    context.set_cipher_list(CIPHERS)
    context.set_options(_OPTIONS)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_id(_SESSION_CONTEXT)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # tickets cost the client's memory
    try:
        context.use_certificate(credential.leaf)
        for each in credential.chain[1:]:
            context.add_extra_chain_cert(each)
        context.use_privatekey(credential.key)
        context.check_privatekey()
    except _REFUSALS as error:
        raise CertificateError(
            f"{credential.file}: OpenSSL refuses it: {_reason(error)}:"
            " expected a certificate and key that it takes"
        ) from error
    if authorities:
        _trust(context, authorities)
    return context


def _trust(context: SSL.Context, authorities: Authorities) -> None:
    """Have clients verified against these, in each handshake anew: nothing is resumed."""
    context.set_options(SSL.OP_NO_TICKET)
    context.set_verify_depth(CHAIN_DEPTH)
    store = context.get_cert_store()
    if store is None:  # pyOpenSSL could imagine a context without one
        raise RuntimeError("OpenSSL context without a certificate store")
    flags = crypto.X509StoreFlags.PARTIAL_CHAIN
    try:
        for each in authorities.certificates:
            store.add_cert(crypto.X509.from_cryptography(each))
            context.add_client_ca(each)
        for revoked in authorities.revoked:
            store.add_crl(revoked)
            flags |= crypto.X509StoreFlags.CRL_CHECK
    except _REFUSALS as error:
        raise CertificateError(
            f"{authorities.file}: OpenSSL refuses it: {_reason(error)}:"
            " expected certificates that it takes"
        ) from error
    store.set_flags(flags)


def _verify_mode(config: TLSConfig) -> int:
    required = SSL.VERIFY_FAIL_IF_NO_PEER_CERT if config.client == "required" else 0
    return SSL.VERIFY_PEER | required


def _reason(error: Exception) -> str:
    try:
        return str(error.args[0][0][-1])
    except (IndexError, TypeError):
        return "no reason given"


def _transport(connection: SSL.Connection) -> Any:
    return getattr(connection.get_app_data(), "transport", None)


def _local_address(connection: SSL.Connection) -> str | None:
    """The address that the client came to; None where that is no IP address."""
    transport = _transport(connection)
    return transport and getattr(transport.getHost(), "host", None)


def _peer_address(connection: SSL.Connection) -> str:
    transport = _transport(connection)
    peer = transport.getPeer() if transport else None
    return str(getattr(peer, "host", None) or "a client")


def _factory_protocols(connection: SSL.Connection) -> tuple[bytes, ...]:
    """What the wrapped factory speaks, if it says so."""
    factory = getattr(connection.get_app_data(), "factory", None)
    wrapped = getattr(factory, "wrappedFactory", None)
    negotiating: Any = IProtocolNegotiationFactory(wrapped, None)
    return () if negotiating is None else tuple(negotiating.acceptableProtocols())


def _subject(certificate: crypto.X509) -> str:
    """Whose a certificate says it is: the peer's own words, cut and quoted."""
    try:
        name = certificate.to_cryptography().subject.rfc4514_string()
    except ValueError:
        return "(unreadable)"
    return ascii(name[:LOGGED_NAME])
