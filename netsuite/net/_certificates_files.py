"""Certificates and keys as files: read in full, refused with one line, watched for change."""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import get_args

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from netsuite.net._certificates_config import CertificateError, TLSConfig
from netsuite.net._certificates_names import names_in

PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)

#: The longest file that is read, in bytes: revocation lists grow to megabytes.
MAX_FILE_SIZE = 16 * 1024 * 1024

#: Two changes within so many seconds may leave a file with the same times.
TIMESTAMP_SECONDS = 1.0

_CHAIN = "a certificate in PEM"
_KEY = "a private key in PEM"
_AUTHORITIES = "certificates of authorities in PEM"
_LAYOUT = "NAME.pem (key and certificates), or NAME/fullchain.pem and NAME/privkey.pem"

# What cryptography raises for what is no certificate and no revocation list.
_UNREADABLE = (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm)

_BEGIN = re.compile(rb"^-----BEGIN ", re.MULTILINE)
_BLOCK = re.compile(
    rb"^-----BEGIN ([A-Z0-9 ]+)-----[^\n]*\n(?:(?!-----)[^\n]*\n)*-----END \1-----", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate that can be served.

    :ivar file: where it comes from.
    :ivar chain: the certificate itself, then those between it and the root.
    :ivar key: its private key.
    :ivar names: what it is for.
    """

    file: str
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey
    names: tuple[str, ...]

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate itself."""
        return self.chain[0]


@dataclass(frozen=True, slots=True)
class Authorities:
    """Whose word on clients is taken.

    :ivar file: where they come from.
    :ivar certificates: each of them is trusted, whoever issued it.
    :ivar revoked: their lists of certificates that are not to be trusted any more.
    """

    file: str
    certificates: tuple[x509.Certificate, ...]
    revoked: tuple[x509.CertificateRevocationList, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one certificate; the key is in the same one where ``key`` is None."""

    cert: Path
    key: Path | None = None


Stamps = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(slots=True)
class Material:
    """All that was read, at one time.

    :ivar stamps: what the files looked like before they were read.
    :ivar digest: of their contents.
    :ivar settled: whether a later change is sure to give other stamps.
    :ivar warnings: one line for each thing that an operator may not want so.
    """

    credentials: tuple[Credential, ...] = ()
    authorities: Authorities | None = None
    stamps: Stamps = ()
    digest: bytes = b""
    settled: bool = True
    warnings: list[str] = field(default_factory=list)


def find_sources(config: TLSConfig) -> list[Source]:
    """Where certificates are, the default one first, the others by name.

    :raises CertificateError: for a directory that cannot be listed.
    """
    sources = [Source(config.cert, config.key)] if config.cert else []
    if config.directory:
        try:
            found = sorted(_list_directory(config.directory))
        except OSError as error:
            raise _unreadable(config.directory, error, f"a directory with {_LAYOUT}") from error
        sources += [source for _, _, source in found]
    return sources


def _list_directory(directory: Path) -> Iterator[tuple[str, str, Source]]:
    """Name, path and files of each certificate in it; all else in it is no concern of ours."""
    for path in directory.iterdir():
        if path.name.startswith("."):
            continue
        chain, key = path / "fullchain.pem", path / "privkey.pem"
        if path.is_dir():
            if any(os.path.lexists(each) for each in (chain, key)):
                yield path.name, str(path), Source(chain, key)
        elif path.suffix == ".pem":
            yield path.stem, str(path), Source(path)


def look(config: TLSConfig) -> Stamps:
    """What the files look like now: a change of any of them shows, also behind a symlink.

    A file that is not there looks like something too, and so does one that cannot be asked.
    """
    try:
        paths = [
            path
            for source in find_sources(config)
            for path in (source.cert, source.key)
            if path is not None
        ]
    except CertificateError:
        paths = [path for path in (config.directory,) if path is not None]
    if config.client_ca:
        paths.append(config.client_ca)
    return tuple((str(path), _stamp(path)) for path in paths)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError as error:
        return (-(error.errno or errno.EIO),)
    return (
        *(status.st_mtime_ns, status.st_ctime_ns, status.st_size),
        *(status.st_ino, status.st_dev),
    )


def is_settled(stamps: Stamps, now: float) -> bool:
    """Whether a change from now on is sure to give a file other times.

    :param now: seconds since 1970-01-01 00:00 UTC.
    """
    newest = max((max(stamp[:2]) for _, stamp in stamps if len(stamp) > 1), default=0)
    return newest / 1e9 + TIMESTAMP_SECONDS < now


def digest_files(config: TLSConfig) -> bytes:
    """What the contents of the files come to.

    :raises CertificateError: if one cannot be read.
    """
    reader = _Reader()
    for source in find_sources(config):
        for path in (source.cert, source.key):
            if path is not None:
                reader.read(path, _CHAIN)
    if config.client_ca:
        reader.read(config.client_ca, _AUTHORITIES)
    return reader.digest


def read_material(config: TLSConfig, now: Callable[[], float]) -> Material:
    """Read every file that ``config`` names.

    :param now: seconds since 1970-01-01 00:00 UTC.
    :raises CertificateError: for the first thing that cannot be used.
    """
    stamps = look(config)
    time = now()
    reader = _Reader()
    sources = find_sources(config)
    if not sources and config.directory:
        raise CertificateError(f"{config.directory}: no certificates in it: expected {_LAYOUT}")
    credentials = tuple(_read_credential(reader, source) for source in sources)
    authorities = _read_authorities(reader, config.client_ca) if config.client_ca else None
    return Material(
        credentials=credentials,
        authorities=authorities,
        stamps=stamps,
        digest=reader.digest,
        settled=is_settled(stamps, time),
        warnings=[*reader.warnings, *_warn(credentials, authorities, time)],
    )


class _Reader:
    """Reads files, and keeps account of what it has read."""

    def __init__(self) -> None:
        self._hash = sha256()
        self.warnings: list[str] = []

    @property
    def digest(self) -> bytes:
        """Of all that was read, in order."""
        return self._hash.digest()

    def read(self, path: Path, expected: str) -> bytes:
        """All of a file."""
        try:
            # Without O_NONBLOCK a FIFO would wait for a writer.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise CertificateError(f"{path}: not a regular file: expected {expected}")
                data = file.read(MAX_FILE_SIZE + 1)
        except OSError as error:
            raise _unreadable(path, error, expected) from error
        if len(data) > MAX_FILE_SIZE:
            raise CertificateError(f"{path}: over {MAX_FILE_SIZE} bytes: expected {expected}")
        name = os.fsencode(path)
        self._hash.update(b"%d %d %b%b" % (len(name), len(data), name, data))
        return data

    def check_secret(self, path: Path) -> None:
        """Warn of a key that everybody can read."""
        with suppress(OSError):
            if path.stat().st_mode & stat.S_IROTH:
                self.warnings.append(f"{path}: every user can read this private key")


def _unreadable(path: Path, error: OSError, expected: str) -> CertificateError:
    return CertificateError(f"{path}: {error.strerror or error}: expected {expected}")


def _blocks(path: Path, data: bytes, expected: str) -> list[tuple[str, bytes]]:
    """The PEM blocks of a file: label and text of each."""
    blocks = [(match[1].decode(), match[0]) for match in _BLOCK.finditer(data)]
    if len(blocks) != len(_BEGIN.findall(data)):
        raise CertificateError(f"{path}: cut short or damaged: expected {expected}")
    return blocks


def _certificates(path: Path, blocks: Iterable[tuple[str, bytes]]) -> Iterator[x509.Certificate]:
    texts = (text for label, text in blocks if label == "CERTIFICATE")
    for count, text in enumerate(texts, 1):
        try:
            certificate = x509.load_pem_x509_certificate(text)
            certificate.public_key()
        except _UNREADABLE as error:
            raise CertificateError(
                f"{path}: certificate {count} cannot be read: expected {_CHAIN}"
            ) from error
        yield certificate


def _read_credential(reader: _Reader, source: Source) -> Credential:
    blocks = _blocks(source.cert, reader.read(source.cert, _CHAIN), _CHAIN)
    chain = tuple(_certificates(source.cert, blocks))
    if not chain:
        raise CertificateError(f"{source.cert}: no certificate in it: expected {_CHAIN}")
    key_path = source.key or source.cert
    if source.key:
        blocks = _blocks(source.key, reader.read(source.key, _KEY), _KEY)
    key = _private_key(key_path, blocks)
    if key.public_key() != chain[0].public_key():
        which = "the first certificate" if len(chain) > 1 else "the certificate"
        raise CertificateError(
            f"{key_path}: the key does not belong to {which} in {source.cert}:"
            " expected the server's own certificate first, and its key"
        )
    reader.check_secret(key_path)
    try:
        names = names_in(chain[0])
    except ValueError as error:
        raise CertificateError(
            f"{source.cert}: its names (subjectAltName) cannot be read: expected {_CHAIN}"
        ) from error
    return Credential(str(source.cert), chain, key, names)


def _private_key(path: Path, blocks: Iterable[tuple[str, bytes]]) -> PrivateKey:
    texts = [text for label, text in blocks if label.endswith("PRIVATE KEY")]
    if len(texts) != 1:
        count = "no private key" if not texts else f"{len(texts)} private keys"
        raise CertificateError(f"{path}: {count} in it: expected {_KEY}")
    try:
        key = load_pem_private_key(texts[0], None)
    except TypeError as error:
        raise CertificateError(
            f"{path}: the key is encrypted: expected one without a passphrase"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{path}: the key cannot be read: expected {_KEY}") from error
    if not isinstance(key, get_args(PrivateKey)):
        raise CertificateError(
            f"{path}: a key of this kind cannot be used: expected RSA, ECDSA or EdDSA"
        )
    usable: PrivateKey = key
    return usable


def _read_authorities(reader: _Reader, path: Path) -> Authorities:
    blocks = _blocks(path, reader.read(path, _AUTHORITIES), _AUTHORITIES)
    certificates = tuple(_certificates(path, blocks))
    if not certificates:
        raise CertificateError(f"{path}: no certificate in it: expected {_AUTHORITIES}")
    try:
        revoked = tuple(
            x509.load_pem_x509_crl(text) for label, text in blocks if label == "X509 CRL"
        )
    except _UNREADABLE as error:
        raise CertificateError(
            f"{path}: a revocation list cannot be read: expected it in PEM"
        ) from error
    return Authorities(str(path), certificates, revoked)


def _warn(
    credentials: Iterable[Credential], authorities: Authorities | None, now: float
) -> Iterator[str]:
    """What works, but may not be what an operator wants."""
    for each in credentials:
        begins = each.leaf.not_valid_before_utc
        ends = each.leaf.not_valid_after_utc
        if ends.timestamp() < now:
            yield f"{each.file}: the certificate expired at {ends:%Y-%m-%d %H:%M} UTC"
        elif begins.timestamp() > now:
            yield f"{each.file}: the certificate is not valid before {begins:%Y-%m-%d %H:%M} UTC"
        if not each.names:
            yield f"{each.file}: no name in the certificate (subjectAltName)"
    for crl in authorities.revoked if authorities else ():
        due = crl.next_update_utc
        if authorities and due and due.timestamp() < now:
            yield (
                f"{authorities.file}: a revocation list was to be replaced by"
                f" {due:%Y-%m-%d %H:%M} UTC; clients of that authority are refused"
            )
