"""What an endpoint string can say besides where to listen: TLS, PROXY protocol, shared ports."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, nan
from pathlib import Path
from typing import Any

from netsuite.ip import AddressError, IPSet
from netsuite.net.certificates import CertificateError, TLSConfig

_PART = re.compile(r"((?:[^:\\]|\\.)*):", re.DOTALL)
_YES_OR_NO = {"yes": True, "no": False}


class LayerError(ValueError):
    """An option that cannot be; the message is for people."""


@dataclass(frozen=True, slots=True)
class Layers:
    """What lies between a socket and its factory.

    :ivar tls: certificates and rules; None for no TLS.
    :ivar proxies: who must say by the PROXY protocol whom they speak for; None for no such
        protocol.
    :ivar proxy_timeout: seconds that they have to say it.
    :ivar reuse_port: whether other processes may listen on the same port (``SO_REUSEPORT``).
    """

    tls: TLSConfig | None = None
    proxies: IPSet | None = None
    proxy_timeout: float = 5.0
    reuse_port: bool = False


def split_layers(description: str) -> tuple[str, Layers]:
    """An endpoint string without the options that are ours, and those.

    :raises LayerError: for an option of ours that cannot be.
    """
    rest: list[str] = []
    found: dict[str, Any] = {}
    for part in _parts(description):
        name, _, value = part.partition("=")
        if name not in _OPTIONS:
            rest.append(part)
            continue
        key, parse = _OPTIONS[name]
        if key in found:
            raise LayerError(f"{name} is given twice: expected once")
        text = re.sub(r"\\(.)", r"\1", value)
        try:
            found[key] = parse(text)
        except ValueError as error:
            raise LayerError(f"{name}={text}: {error}") from None
    return ":".join(rest), _layers(found)


def _layers(found: dict[str, Any]) -> Layers:
    tls = {key.removeprefix("tls."): value for key, value in found.items() if key[:4] == "tls."}
    others = {key: value for key, value in found.items() if key[:4] != "tls."}
    if "proxy_timeout" in others and "proxies" not in others:
        raise LayerError("proxyTimeout goes with proxyFrom: expected both")
    try:
        return Layers(TLSConfig(**tls) if tls else None, **others)
    except CertificateError as error:
        raise LayerError(str(error)) from None


def _parts(description: str) -> list[str]:
    """The parts between the colons; a backslash keeps a colon after it from being one."""
    if re.search(r"(?<!\\)(?:\\\\)*\\\Z", description):
        raise LayerError("expected something after the backslash at the end")
    return _PART.findall(description + ":")


def _file(text: str) -> Path:
    if not text:
        raise ValueError("expected a path")
    return Path(text)


def _yes_or_no(text: str) -> bool:
    if text not in _YES_OR_NO:
        raise ValueError("expected yes or no")
    return _YES_OR_NO[text]


def _networks(text: str) -> IPSet:
    try:
        return IPSet(part.strip() for part in text.split(","))
    except AddressError as error:
        raise ValueError(f"{error}") from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = nan
    if not 0 < seconds < inf:
        raise ValueError("expected seconds, more than 0")
    return seconds


_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "tlsCert": ("tls.cert", _file),
    "tlsKey": ("tls.key", _file),
    "tlsDirectory": ("tls.directory", _file),
    "tlsSelfSigned": ("tls.self_signed", _yes_or_no),
    "tlsMinVersion": ("tls.min_version", str),
    "tlsALPN": ("tls.alpn", _names),
    "tlsClientCA": ("tls.client_ca", _file),
    "tlsClient": ("tls.client", str),
    "proxyFrom": ("proxies", _networks),
    "proxyTimeout": ("proxy_timeout", _seconds),
    "reusePort": ("reuse_port", _yes_or_no),
}

#: The names of our options, as they are written in endpoint strings.
LAYER_OPTIONS = tuple(_OPTIONS)
