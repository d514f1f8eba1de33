"""TLS servers whose certificates live in files that change.

:class:`ServerCertificates` has a certificate for each host name (SNI, RFC 6066 section 3),
asks clients for theirs, agrees on an application protocol (ALPN, RFC 7301), and takes new
files without losing a connection. It goes wherever Twisted takes a context factory:

.. code-block:: python

   certificates = ServerCertificates(TLSConfig(directory=Path("/etc/letsencrypt/live")))
   watch = certificates.watch(reactor)
   endpoint.listen(TLSFactory(certificates, False, factory, reactor))

TLS 1.2 and 1.3 are spoken, with ciphers that have forward secrecy; never compression or
renegotiation. Clients without certificates may resume by tickets; the server keeps nothing.

Left out: OCSP stapling and multiple certificates for one name by kind of key.
"""

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from netsuite.net._certificates_config import (
    CertificateError,
    ClientCertificate,
    MinVersion,
    TLSConfig,
)
from netsuite.net._certificates_contexts import ServerContexts
from netsuite.net._certificates_files import (
    Credential,
    Material,
    Stamps,
    digest_files,
    is_settled,
    look,
    read_material,
)
from netsuite.net._certificates_self_signed import generate_self_signed, self_signed_credential
from netsuite.net._certificates_watch import WATCH_SECONDS, CertificateWatch


@dataclass(frozen=True, slots=True)
class ServedCertificate:
    """A certificate in use.

    :ivar file: where it came from; ``self-signed`` for one that we made.
    :ivar names: host names, wildcards and IP addresses that it is for.
    :ivar not_after: when it ends, in seconds since 1970-01-01 00:00 UTC.
    :ivar fingerprint: SHA-256, in hexadecimal with colons, as OpenSSL and browsers show it.
    """

    file: str
    names: tuple[str, ...]
    not_after: float
    fingerprint: str


@implementer(IOpenSSLServerConnectionCreator)
class ServerCertificates:
    """The certificates of a TLS server: loaded, chosen by name, and replaced while in use.

    All files are read here, and what may not be meant so is logged as a warning.

    :param now: seconds since 1970-01-01 00:00 UTC.
    :param host: this machine's name, for a self-signed certificate.
    :raises CertificateError: for a file that cannot be used.
    """

    _log = Logger()
    _contexts: ServerContexts

    def __init__(
        self,
        config: TLSConfig,
        *,
        now: Callable[[], float] = time.time,
        host: str | None = None,
    ) -> None:
        self.config = config
        self._now = now
        self._made: tuple[Credential, ...] = ()
        if config.self_signed:
            host = socket.gethostname() if host is None else host
            self._made = (self_signed_credential(host, now()),)
        self._material = Material()
        self._use(read_material(config, now))
        for made in self._made:
            self._describe(made)

    # As a context factory.

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """A connection with the certificates of now; it keeps them if they are replaced."""
        return self._contexts.connection()

    # What is served.

    @property
    def certificates(self) -> tuple[ServedCertificate, ...]:
        """Those in use; the first is for all names that none is for."""
        return tuple(
            ServedCertificate(
                file=each.file,
                names=each.names,
                not_after=each.leaf.not_valid_after_utc.timestamp(),
                fingerprint=_fingerprint(each.leaf),
            )
            for each in self._credentials
        )

    @property
    def expiries(self) -> Mapping[str, float]:
        """By file when its certificate ends, in seconds since 1970-01-01 00:00 UTC."""
        return MappingProxyType({each.file: each.not_after for each in self.certificates})

    @property
    def fingerprints(self) -> Mapping[str, str]:
        """By file the SHA-256 fingerprint of its certificate."""
        return MappingProxyType({each.file: each.fingerprint for each in self.certificates})

    # Files that change.

    def changed(self) -> bool:
        """Whether a file is not as it was when it was last read well.

        Times, sizes and inodes are compared, behind symlinks too; contents only where a file
        was read so soon after a change that the next one may not show.
        """
        stamps = look(self.config)
        if stamps != self._material.stamps:
            return True
        if self._material.settled:
            return False
        try:
            if digest_files(self.config) != self._material.digest:
                return True
        except CertificateError:
            return True
        self._material.settled = is_settled(stamps, self._now())
        return False

    def look(self) -> Stamps:
        """What the files look like now: equal to an earlier look if none has changed."""
        return look(self.config)

    def reload(self) -> bool:
        """Read all files again, and serve what is in them to those who connect from now on.

        Handshakes that have begun and connections that are open keep what they have.

        :returns: whether anything is different.
        :raises CertificateError: if something cannot be used; what was served still is.
        """
        return self.prepare()()

    def prepare(self) -> Callable[[], bool]:
        """Read all files again, and serve nothing of it yet.

        :returns: what makes it so, as :meth:`reload` does.
        :raises CertificateError: if something cannot be used.
        """
        material = read_material(self.config, self._now)
        different = material.digest != self._material.digest
        contexts = self._build(material) if different else self._contexts

        def commit() -> bool:
            self._material = material
            if different:
                self._contexts = contexts
                self._warn()
            return different

        return commit

    def renew_ticket_keys(self) -> None:
        """Encrypt session tickets with a new key; clients with an old one begin afresh."""
        self._contexts = self._build(self._material)

    def watch(
        self,
        clock: IReactorTime,
        interval: float = WATCH_SECONDS,
        on_reload: Callable[[], object] | None = None,
        on_error: Callable[[CertificateError], object] | None = None,
    ) -> CertificateWatch:
        """Reload whenever files have changed and come to rest.

        Files that cannot be used are reported once, and tried again when they change again.

        :param interval: seconds between two looks at the files.
        :param on_reload: called after each reload; the default logs what is served.
        :param on_error: called instead when it failed; the default logs it.
        :returns: what ``stop()`` ends.
        """
        return CertificateWatch(
            self, clock, interval, on_reload or self.log_certificates, on_error or self._log_error
        )

    def log_certificates(self) -> None:
        """Log a line for each certificate: its names, its end and its fingerprint."""
        for each in self._credentials:
            self._log.info(
                "certificate {file} for {names} until {until:%Y-%m-%d %H:%M} UTC,"
                " SHA-256 {fingerprint}",
                file=each.file,
                names=", ".join(each.names) or "no name",
                until=each.leaf.not_valid_after_utc,
                fingerprint=_fingerprint(each.leaf),
            )

    def _log_error(self, error: CertificateError) -> None:
        self._log.error("{error}; what was served before still is", error=error)

    def _use(self, material: Material) -> None:
        self._contexts = self._build(material)
        self._material = material
        self._warn()

    def _warn(self) -> None:
        for warning in self._material.warnings:
            self._log.warn("{problem}", problem=warning)

    def _build(self, material: Material) -> ServerContexts:
        credentials = (*self._made, *material.credentials)
        return ServerContexts(self.config, credentials, material.authorities)

    @property
    def _credentials(self) -> tuple[Credential, ...]:
        return (*self._made, *self._material.credentials)

    def _describe(self, made: Credential) -> None:
        """Say what was made, and how a client can be brought to trust it."""
        self._log.warn(
            "self-signed certificate for {names}, for development only, until"
            " {until:%Y-%m-%d %H:%M} UTC, SHA-256 {fingerprint}",
            names=", ".join(made.names),
            until=made.leaf.not_valid_after_utc,
            fingerprint=_fingerprint(made.leaf),
        )
        self._log.info(
            "to trust it: openssl s_client -connect localhost:PORT </dev/null"
            " | openssl x509 -out dev.pem; compare openssl x509 -in dev.pem -noout"
            " -fingerprint -sha256; then curl --cacert dev.pem https://localhost:PORT/"
        )


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def peer_certificate(transport: Any) -> x509.Certificate | None:
    """The certificate that the peer of a protocol has shown, and has proved to have the key of.

    :param transport: the protocol's; any transport will do.
    :returns: None without TLS, before the handshake is over (see
        :class:`~twisted.internet.interfaces.IHandshakeListener`), after the connection is
        lost, and for a peer that has shown none.
    """
    get_handle = getattr(transport, "getHandle", None)
    handle = get_handle() if get_handle is not None else None
    if not isinstance(handle, SSL.Connection) or handle.get_state_string() != _ESTABLISHED:
        return None
    return handle.get_peer_certificate(as_cryptography=True)


# What OpenSSL calls a connection whose handshake is over.
_ESTABLISHED = b"SSL negotiation finished successfully"

__all__ = [
    "CertificateError",
    "CertificateWatch",
    "ClientCertificate",
    "MinVersion",
    "ServedCertificate",
    "ServerCertificates",
    "TLSConfig",
    "generate_self_signed",
    "peer_certificate",
]
