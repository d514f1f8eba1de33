"""HTTP for the admin site: twisted.web's parser, small limits, and answers as values."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BytesIO
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.web.http import HTTPChannel, Request, datetimeToString
from zope.interface import implementer

#: Bytes of a request's body.
MAX_BODY = 4096
#: Bytes of one line of a request's head, of all of them together, and how many they are.
MAX_LINE = 4096
MAX_HEAD = 8192
MAX_HEADERS = 64
#: Seconds that a connection has for each request, the silence before it included.
REQUEST_TIMEOUT = 30.0
#: Shorter bodies are sent as they are: packed, they are hardly shorter.
LEAST_PACKED = 1024

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with."""

    body: bytes
    content_type: str
    code: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """A request that is answered with an error: one line for a person."""

    def __init__(self, code: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self._code = code
        self._headers = headers or {}

    def answer(self) -> Answer:
        """The error as the client sees it."""
        return json_answer({"error": str(self)}, self._code, self._headers)


def json_answer(
    value: object, code: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Answer:
    """``value`` as one line of JSON."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Answer(f"{text}\n".encode(), "application/json", code, headers or {})


def text_answer(text: str, code: int = HTTPStatus.OK) -> Answer:
    """One line of text."""
    return Answer(f"{text}\n".encode(), "text/plain; charset=utf-8", code)


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an ``Accept-Encoding`` takes gzip (RFC 9110 section 12.5.3)."""
    for each in accept_encoding.lower().split(","):
        coding, _, weight = each.replace(" ", "").partition(";")
        if coding == "gzip":
            return weight.strip("0.") != "q="
    return False


class AdminRequest(Request):
    """A request with a small body, answered by the site that its channel belongs to."""

    channel: "AdminChannel"
    content: BytesIO
    #: Whether all of it is here and its answer is being made.
    received = False
    _given_up = False

    def __init__(self, channel: "AdminChannel", queued: object = False) -> None:
        super().__init__(channel, parsePOSTFormSubmission=False)

    def headers(self, name: str) -> list[str]:
        """All values of a header; each byte of them is one character."""
        values = self.requestHeaders.getRawHeaders(name.encode("ascii"), [])
        return [value.decode("latin-1") for value in values]

    def header(self, name: str) -> str:
        """A header's value, the last one if there are several, or nothing."""
        return self.headers(name)[-1] if self.requestHeaders.hasHeader(name) else ""

    def gotLength(self, length: int | None) -> None:
        """Take the body if it is short, by what its head says."""
        self.content = BytesIO()
        if length is not None and length > MAX_BODY:
            self._give_up()

    def handleContentChunk(self, data: bytes) -> None:
        """Take a part of the body, unless it is too much."""
        if self._given_up:
            return
        if self.content.tell() + len(data) > MAX_BODY:
            self._give_up()
        else:
            self.content.write(data)

    def process(self) -> None:
        """Let the site answer."""
        if not self._given_up:
            self.received = True
            self.channel.factory.answer(self)

    def _give_up(self) -> None:
        self._given_up = True
        self.requestHeaders.removeHeader(b"Expect")  # else it would be told to go on
        self.channel.refuse(
            Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected a body of up to {MAX_BODY} bytes"
            )
        )

    def send(self, answer: Answer) -> None:
        """Answer, and be done."""
        body, headers = answer.body, {**_headers(answer), **answer.headers}
        if len(body) >= LEAST_PACKED:
            headers["Vary"] = "Accept-Encoding"
            if accepts_gzip(self.header("Accept-Encoding")):
                body = gzip.compress(body, 5, mtime=0)
                headers["Content-Encoding"] = "gzip"
                headers["Content-Length"] = str(len(body))
        self.setResponseCode(answer.code, HTTPStatus(answer.code).phrase.encode())
        for name, value in headers.items():
            self.setHeader(name, value)
        self.write(body)
        self.finish()


@implementer(IHalfCloseableProtocol)
class AdminChannel(HTTPChannel):
    """HTTP/1 with small limits.

    Unlike its parent's, its timer is not set back by each byte: a request has to be here in
    whole when time is up. And a client that closes its sending side still gets its answer.
    """

    MAX_LENGTH = MAX_LINE
    totalHeadersSize = MAX_HEAD
    maxHeaders = MAX_HEADERS
    requestFactory = AdminRequest  # type: ignore[assignment]  # never queued

    def resetTimeout(self) -> None:
        """Leave the timer alone: bytes are no excuse."""

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a line that is too long."""
        self.refuse(
            Refusal(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"expected lines of up to {MAX_LINE} bytes",
            )
        )

    def refuse(self, refusal: Refusal) -> None:
        """Answer before all of a request is here, and close."""
        answer = refusal.answer()
        lines = [f"HTTP/1.1 {answer.code} {HTTPStatus(answer.code).phrase}"]
        headers = {**_headers(answer), "Connection": "close"}
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.write("\r\n".join([*lines, "", ""]).encode() + answer.body)
        self.loseConnection()

    def readConnectionLost(self) -> None:
        """Finish the answer that is being made, if there is one, and close."""
        self._finish()

    def drain(self, clock: IReactorTime, grace: float) -> None:
        """Likewise; see :class:`netsuite.net.Drainable`."""
        self._finish()

    def _finish(self) -> None:
        self.persistent = False
        if not any(request.received for request in self.requests):
            self.loseConnection()

    def writeConnectionLost(self) -> None:
        """Close: nobody listens."""
        self.loseConnection()


def _headers(answer: Answer) -> dict[str, Any]:
    return {
        "Date": datetimeToString().decode(),
        "Content-Type": answer.content_type,
        "Content-Length": str(len(answer.body)),
        **_HEADERS,
    }
