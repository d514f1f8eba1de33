"""Every line comes back as it is: for tests of networks, proxies and clients that speak lines.

Unlike :mod:`netsuite.echo` it knows lines: a line comes back once it is complete, with the line
end of the application, and one that is too long is refused.
"""

from typing import Literal

from netsuite.line._limits import Limits
from netsuite.line._session import Session
from netsuite.line.app import LineApp


def echo_app(
    *, line_end: Literal[b"\r\n", b"\n"] = b"\r\n", limits: Limits | None = None
) -> LineApp:
    """An application without commands that sends back each line, whatever bytes are in it.

    :param line_end: sent behind each line; LF and CRLF are both taken.
    """

    def echo(session: Session, line: bytes) -> bytes:
        return line + line_end

    return LineApp(
        "echo", line_end=line_end, limits=limits, exact=True, builtins=False, fallback=echo
    )
