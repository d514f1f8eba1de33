"""Whether a server that says nothing is still there."""

from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from netsuite.line._client_calls import LineCall
from netsuite.line._client_connection import ClientConnection
from netsuite.line._client_errors import LineConnectionError, in_seconds

#: A command that every server answers, if only with an error.
_COMMAND = "NOOP"
_DATA = b"NOOP\r\n"


class Keepalive:
    """Asks a server that has said nothing for a while, and drops a connection without an answer.

    A command that takes its time holds up the answer: while one does, nothing is asked, since
    the caller's own time says when it is too long.

    :param interval: seconds of silence before it is asked, and for it to answer.
    """

    def __init__(self, connection: ClientConnection, clock: IReactorTime, interval: float) -> None:
        self._connection = connection
        self._clock = clock
        self._interval = interval
        self._heard = connection.bytes_received
        self._asked: LineCall | None = None
        self._timer: IDelayedCall
        self._wait()

    def stop(self) -> None:
        """The connection is gone, or about to be."""
        if self._timer.active():
            self._timer.cancel()

    def _wait(self) -> None:
        self._timer = self._clock.callLater(self._interval, self._look)

    def _look(self) -> None:
        connection, before = self._connection, self._heard
        self._heard = connection.bytes_received
        if self._heard == before:
            if connection.first is None:
                self._ask()
            elif connection.first is self._asked:
                within = in_seconds(self._interval)
                why = f"the connection was lost: the server has not answered within {within}"
                connection.drop(LineConnectionError(why))
                return
        self._wait()

    def _ask(self) -> None:
        call = self._asked = LineCall(_COMMAND, _DATA, self._clock, None)
        call.result.addErrback(_ignore)  # an error is an answer too
        self._connection.send(call)


def _ignore(_: Any) -> None:
    pass
