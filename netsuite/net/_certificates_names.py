"""Which certificate answers to which name (RFC 6066 section 3, RFC 9525 section 6.3)."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Generic, TypeVar

from cryptography import x509

T = TypeVar("T")
IPAddress = IPv4Address | IPv6Address


def names_in(certificate: x509.Certificate) -> tuple[str, ...]:
    """The names that a certificate is for: host names in lower case, wildcards, IP addresses.

    :raises ValueError: for a subjectAltName that cannot be read.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError(str(error)) from error
    hosts = [_host_name(name) for name in names.get_values_for_type(x509.DNSName)]
    addresses = [str(each) for each in names.get_values_for_type(x509.IPAddress)]
    return tuple(dict.fromkeys([*hosts, *addresses]))


def _host_name(name: str) -> str:
    return name.lower().removesuffix(".")


class NameIndex(Generic[T]):
    """Finds what belongs to a name: an exact name first, then a wildcard.

    A wildcard (``*.example.org``) stands for one label, the first. Names are compared
    without regard to case and as they are on the wire, which for international ones is
    ``xn--``.

    :param entries: names and what belongs to them; the first with a name has it.
    """

    def __init__(self, entries: Iterable[tuple[Iterable[str], T]] = ()) -> None:
        self._exact: dict[str, T] = {}
        self._wildcards: dict[str, T] = {}
        for names, value in entries:
            for name in names:
                self._add(name, value)

    def _add(self, name: str, value: T) -> None:
        if name.startswith("*.") and "*" not in name[2:]:
            self._wildcards.setdefault(name[2:], value)
        elif "*" not in name:  # any other pattern is nobody's name
            self._exact.setdefault(name, value)

    def find(self, name: bytes | str) -> T | None:
        """What belongs to the name that a client asks for; None if nothing does."""
        if isinstance(name, bytes):
            try:
                name = name.decode("ascii")
            except UnicodeDecodeError:
                return None
        if address := _address(name):
            return self._exact.get(str(address))
        name = _host_name(name)
        if (found := self._exact.get(name)) is not None:
            return found
        label, _, rest = name.partition(".")
        return self._wildcards.get(rest) if label else None


def _address(text: str) -> IPAddress | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
