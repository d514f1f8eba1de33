"""STARTTLS: a connection that begins in plain text goes on with TLS.

The command and its rules are those of RFC 3207 (SMTP) and RFC 4642 (NNTP): it is answered with
``OK`` in plain text, and the next byte is TLS. Whatever is known of the peer until then is
forgotten: nobody is logged in. What the peer sends behind the command before its answer ends the
connection, because anybody on the way can have put it there (RFC 2595 section 4, CVE-2011-0411).

Left out: certificates of clients as a way to log in (RFC 4422 appendix A, EXTERNAL).
"""

from collections.abc import Collection
from typing import Any

from twisted.internet.interfaces import IOpenSSLServerConnectionCreator

from netsuite.line._commands import Command
from netsuite.line._errors import CommandError
from netsuite.line._session import Session
from netsuite.line.app import LineApp

#: What peers may say before TLS where it is required.
BEFORE_TLS = frozenset({"STARTTLS", "HELP", "COMMANDS", "NOOP", "QUIT"})


class StartTLS:
    """Lets peers begin TLS on a connection that is there, with ``STARTTLS``::

        certificates = ServerCertificates(TLSConfig(cert=Path("/etc/tls/example.pem")))
        app.add(StartTLS(certificates, required=True))

    Peers whose connection is secure already, by TLS, SSH or a UNIX socket, are not told of it.

    :param context_factory: :class:`~netsuite.net.certificates.ServerCertificates`, whose files
        may change meanwhile, or what else Twisted takes for a TLS server, such as
        :class:`~twisted.internet.ssl.CertificateOptions`.
    :param required: whether peers may give no other commands before TLS, ``open`` ones neither.
    :param before: names of the commands that they may give all the same.
    :raises TypeError: for what is no context factory.
    """

    def __init__(
        self,
        context_factory: Any,
        *,
        required: bool = False,
        before: Collection[str] = BEFORE_TLS,
    ) -> None:
        creates = IOpenSSLServerConnectionCreator.providedBy(context_factory)
        if not creates and not hasattr(context_factory, "getContext"):
            raise TypeError(
                f"{type(context_factory).__name__} is no context factory: expected "
                "ServerCertificates, CertificateOptions, or another with getContext"
            )
        self.context_factory = context_factory
        self.required = required
        self._before = frozenset(before)

    def install(self, app: LineApp) -> None:
        """Add the command."""
        app.rules.append(self)

        @app.command("STARTTLS", open=True, exclusive=True)
        def starttls(session: Session) -> None:
            """Speak TLS from here on.

            Send nothing before the answer. Behind it the next byte is TLS.
            """
            session.start_tls(self.context_factory)

    # As a rule of the application.

    def concerns(self, session: Session) -> bool:
        """Whether there is more to be looked at than STARTTLS itself."""
        return self.required and not session.secure

    def forbids(self, session: Session, command: Command) -> CommandError | None:
        """Why a session may not give a command now, if it may not."""
        if session.secure:
            if command.name == "STARTTLS":
                return CommandError("not-allowed", "STARTTLS: the connection is secure already")
        elif self.required and command.name not in self._before:
            return CommandError("not-allowed", command.told("expected STARTTLS first"))
        return None
