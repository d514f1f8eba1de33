"""What to try when a connection of ``netsuite line connect`` has failed."""

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost

from netsuite.line._shell_options import ConnectOptions
from netsuite.line.client import LineConnectionError

#: What OpenSSL says of a peer that does not speak TLS.
_NO_TLS = ("wrong version number", "packet length too long", "record layer failure", "http request")


def with_hint(error: Exception, options: ConnectOptions) -> str:
    """An error, and which option may help."""
    text = str(error)
    hint = _hint(error, text, options)
    return f"{text}: {hint}" if hint else text


def _hint(error: Exception, text: str, options: ConnectOptions) -> str:
    if not isinstance(error, LineConnectionError):
        return ""
    if "certificate verify failed" in text:
        return "its certificate is not trusted: --ca FILE names whom to trust, or --insecure"
    if "the certificate is not for" in text:
        return "--server-name NAME says which name it has"
    cause = error.__cause__
    if isinstance(cause, SSL.Error) and any(each in text for each in _NO_TLS):
        others = "without --tls, or with --starttls" if options.tls else "without --starttls"
        return f"the server does not speak TLS here: try {others}"
    if not error.heard and isinstance(cause, ConnectionDone | ConnectionLost):
        if not (options.tls or options.starttls):
            return "if it speaks TLS, try --tls"
        if options.starttls:
            return "if it speaks TLS from the beginning, try --tls"
    return ""
