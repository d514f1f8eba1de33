"""The options of ``netsuite line connect``, and the server that they name."""

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.endpoints import (
    HostnameEndpoint,
    UNIXClientEndpoint,
    clientFromString,
    wrapClientTLS,
)
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from zope.interface import implementer

from netsuite._command_line import CommandParser

PROGRAM = "netsuite line connect"

#: Has the password for ``--user``.
PASSWORD = "NETSUITE_LINE_PASSWORD"  # noqa: S105 - its name

_HOST_AND_PORT = re.compile(r"(?:\[(?P<address>[^\]]+)\]|(?P<host>[^:\[\]]+)):(?P<port>\d{1,5})")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Trouble(Exception):  # noqa: N818 - as the other tools call it
    """The tool cannot go on; the message is one line for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectOptions:
    """What was asked for.

    :ivar server: as it was given, for people.
    :ivar commands: to be given in place of those of the standard input.
    :ivar timeout: seconds without anything of a reply; None for no limit.
    :ivar follow: whether to stay, and show what the server says by itself.
    :ivar history: the file that keeps what was typed.
    """

    server: str
    commands: tuple[str, ...] = ()
    tls: bool = False
    starttls: bool = False
    ca: str | None = None
    insecure: bool = False
    server_name: str | None = None
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    insecure_login: bool = False
    timeout: float | None = 30.0
    follow: bool = False
    history: str | None = None

    def endpoint(self, reactor: Any) -> IStreamClientEndpoint:
        """Where the server is, behind TLS if that is asked for.

        :raises Trouble: for what names no server.
        """
        found = _HOST_AND_PORT.fullmatch(self.server)
        plain: IStreamClientEndpoint
        if found:
            port = int(found["port"])
            if not 0 < port < 65536:
                raise Trouble(f"{self.server}: expected a port from 1 to 65535")
            plain = HostnameEndpoint(reactor, found["address"] or found["host"], port)
        elif self.server == "unix:":
            raise Trouble(f"{self.server}: expected a path behind it")
        elif self.server.startswith("unix:"):
            plain = UNIXClientEndpoint(reactor, self.server.removeprefix("unix:"))
        else:
            plain = self._described(reactor)
        return wrapClientTLS(self.creator(), plain) if self.tls else plain

    def _described(self, reactor: Any) -> IStreamClientEndpoint:
        try:
            endpoint: IStreamClientEndpoint = clientFromString(reactor, self.server)
        except Exception as error:  # noqa: BLE001 - each kind of endpoint has its own
            raise Trouble(
                f"{self.server}: expected HOST:PORT, [ADDRESS]:PORT, unix:PATH or one of Twisted's "
                f"client endpoint strings ({error})"
            ) from None
        return endpoint

    def creator(self) -> Any:
        """What makes TLS connections.

        :raises Trouble: for certificates that cannot be used, or a name that no server has.
        """
        name = self.name
        if self.insecure:
            return _Unverified(name)
        try:
            root = platformTrust() if self.ca is None else _trust(self.ca)
            return optionsForClientTLS(name, trustRoot=root)
        except UnicodeError as error:
            raise Trouble(f"{name!r} is no name of a server: {error}") from None

    @property
    def name(self) -> str:
        """The server's name, as its certificate has it.

        :raises Trouble: if nobody has said it.
        """
        if self.server_name:
            return self.server_name
        found = _HOST_AND_PORT.fullmatch(self.server)
        if found:
            return found["address"] or found["host"]
        if self.server.startswith("unix:") or self.insecure:
            return "localhost"
        raise Trouble(f"{self.server}: expected --server-name, the name in its certificate")


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """Makes TLS connections to whoever answers."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._context = CertificateOptions().getContext()

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """A connection that trusts everybody."""
        connection = SSL.Connection(self._context, None)
        if not re.fullmatch(r"[\d.]+|.*:.*", self._name):  # RFC 6066 section 3: no addresses
            connection.set_tlsext_host_name(self._name.encode("idna"))
        return connection


def _trust(path: str) -> Any:
    text = _read(path, "--ca")
    found = _CERTIFICATE.findall(text)
    try:
        certificates = [Certificate.loadPEM(each.encode()) for each in found]
    except crypto.Error:
        found = []
    if not found:
        raise Trouble(f"--ca {path}: expected certificates in PEM")
    return trustRootFromCertificates(certificates)


def _read(path: str, option: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise Trouble(f"{option} {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Trouble(f"{option} {path}: expected text") from None


_DESCRIPTION = (
    "Gives commands to a server of lines. On a terminal it has a prompt, with history and "
    "completion by Tab; else the commands are the lines of the standard input, sent without "
    "waiting for the replies."
)
_EPILOG = (
    "Status: 0; 1 if a reply was an error (ERR); 2 for trouble with the options or the "
    "connection, which one line on the standard error names."
)


def options_of(arguments: Sequence[str]) -> ConnectOptions:
    """Read the command line.

    :raises SystemExit: after printing what was wrong with it, or help.
    :raises Trouble: for a file that cannot be read.
    """
    parser = _parser()
    given = parser.parse_args(list(arguments))
    if given.tls and given.starttls:
        parser.error("--tls and --starttls: expected one of the two")
    if given.token_file is not None and given.user is not None:
        parser.error("--token-file and --user: expected one of the two")
    if given.ca is not None and given.insecure:
        parser.error("--ca and --insecure: expected one of the two")
    if not (given.tls or given.starttls):
        for name in ("ca", "insecure", "server_name"):
            if getattr(given, name):
                option = "--" + name.replace("_", "-")
                parser.error(f"{option}: expected --tls or --starttls with it")
    token = None
    if given.token_file is not None:
        token = _read(given.token_file, "--token-file").strip()
        if not token or "\n" in token:
            raise Trouble(f"--token-file {given.token_file}: expected one line with the token")
    return ConnectOptions(
        server=given.server,
        commands=tuple(given.command),
        tls=given.tls,
        starttls=given.starttls,
        ca=given.ca,
        insecure=given.insecure,
        server_name=given.server_name,
        token=token,
        user=given.user,
        insecure_login=given.insecure_login,
        timeout=given.timeout or None,
        follow=given.follow,
        history=given.history,
    )


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=PROGRAM, description=_DESCRIPTION, epilog=_EPILOG, allow_abbrev=False
    )

    def add(*names: str, **details: Any) -> None:
        parser.add_argument(*names, **details)

    add("server", metavar="SERVER", help="HOST:PORT, [ADDRESS]:PORT, unix:PATH, or an endpoint")
    add(
        *("-c", "--command"), action="append", default=[], metavar="LINE",
        help="give this command instead of those of the standard input; may be given again",
    )  # fmt: skip
    add("--tls", action="store_true", help="speak TLS from the beginning")
    add("--starttls", action="store_true", help="begin in plain text, and go on with TLS")
    add("--ca", metavar="FILE", help="trust these certificates (PEM), not the system's")
    add("--insecure", action="store_true", help="believe any certificate")
    add("--server-name", metavar="NAME", help="the name in the server's certificate")
    add("--token-file", metavar="FILE", help="log in with the token in this file")
    add(
        "--user", metavar="NAME",
        help=f"log in with a password, which is asked for or is in {PASSWORD}",
    )  # fmt: skip
    add(
        "--insecure-login", action="store_true",
        help="log in even where others may read along: without TLS, not on this machine",
    )  # fmt: skip
    add(
        "--timeout", type=_seconds, default=30.0, metavar="SECONDS",
        help="give up when so long nothing has come of a reply; 0: never (30; on a terminal "
        "it is for connecting only)",
    )  # fmt: skip
    add(
        "--follow", action="store_true",
        help="stay after the last command, and show what the server says by itself (*)",
    )  # fmt: skip
    add("--history", metavar="FILE", help="keep there what was typed, without AUTH")
    return parser


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds")
    return value


def password_of_environment() -> str | None:
    """The password for ``--user``, if the environment has it."""
    return os.environ.get(PASSWORD) or None
