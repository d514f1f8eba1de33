"""What an operator says about TLS, and the mistakes that can be made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

MinVersion = Literal["1.2", "1.3"]
ClientCertificate = Literal["required", "optional"]


class CertificateError(ValueError):
    """Certificates that cannot be used: one line that names the file and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSConfig:
    """Which certificates a server has, and what it asks of its clients.

    :ivar cert: the certificate and those between it and the root, in PEM; the key too,
        unless ``key`` is given. With a ``directory``, it is the one for all other names.
    :ivar key: the private key, in PEM, without a passphrase.
    :ivar directory: a certificate for each host name (SNI): ``NAME.pem`` with key and chain,
        or ``NAME/fullchain.pem`` and ``NAME/privkey.pem`` as certbot has them.
    :ivar self_signed: make a certificate at the start, for development, in place of ``cert``.
    :ivar min_version: the oldest version of TLS that is spoken.
    :ivar alpn: application protocols, the preferred one first; empty for what the factory
        says (:class:`~twisted.internet.interfaces.IProtocolNegotiationFactory`).
    :ivar client_ca: clients show a certificate that one of those in this file has issued.
        With revocation lists in it, the certificate must not be on its issuer's list.
    :ivar client: whether a client may also show none.
    :raises CertificateError: for what cannot work. No file is opened.
    """

    cert: Path | None = None
    key: Path | None = None
    directory: Path | None = None
    self_signed: bool = False
    min_version: MinVersion = "1.2"
    alpn: tuple[str, ...] = ()
    client_ca: Path | None = None
    client: ClientCertificate = "required"

    def __post_init__(self) -> None:
        if self.key is not None and self.cert is None:
            raise CertificateError(f"{self.key}: a key without a certificate: expected both")
        if not (self.cert or self.directory or self.self_signed):
            raise CertificateError(
                "TLS without a certificate: expected a file, a directory, or a self-signed one"
            )
        if self.self_signed and self.cert:
            raise CertificateError(
                f"{self.cert}: a self-signed certificate beside it: expected one of the two"
            )
        if self.min_version not in get_args(MinVersion):
            raise CertificateError(f"TLS version {self.min_version!r}: expected 1.2 or 1.3")
        if self.client not in get_args(ClientCertificate):
            raise CertificateError(
                f"client certificate {self.client!r}: expected required or optional"
            )
        for name in self.alpn:
            if not 1 <= len(name.encode()) <= 255:  # RFC 7301 section 3.1
                raise CertificateError(f"application protocol {name!r}: expected 1 to 255 bytes")
