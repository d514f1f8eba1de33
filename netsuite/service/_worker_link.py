"""What a supervisor and its workers say to each other: a line of JSON for each message.

The supervisor writes requests to a worker's standard input: ``{"do": "stats", "id": 7}``. The
worker answers on :data:`ANSWERS`: ``{"id": 7, "result": ...}`` or ``{"id": 7, "error": "..."}``;
says ``{"ready": true}`` once it listens and ``{"stats": [...]}`` when it ends. When the
supervisor is gone the input ends, and the worker drains.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from netsuite.net.endpoints import INHERITS

#: The file descriptor on which a worker answers.
ANSWERS = 3

#: The file descriptor of the files that the configuration was read from.
FILES_GIVEN = 4

#: The first of the listening sockets that a worker inherits.
FIRST_SOCKET = 10

#: The environment variable that makes a process a worker.
VARIABLE = INHERITS


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """What a worker is told of itself before it starts.

    :ivar index: of this worker, from 0.
    :ivar sockets: for each endpoint of each daemon the sockets to listen on: their file
        descriptors and address families.
    """

    index: int
    sockets: Sequence[Sequence[Sequence[tuple[int, int]]]]

    def to_text(self) -> str:
        """The value of :data:`VARIABLE`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "WorkerPlace | None":
        """What a process is told; None if it is no worker."""
        text = environment.get(VARIABLE)
        return None if text is None else cls(**json.loads(text))


class MessageProtocol(Protocol):
    """Messages both ways over one stream.

    :param received: called with each message.
    :param lost: called when the other side is gone.
    """

    def __init__(
        self, received: Callable[[dict[str, Any]], object], lost: Callable[[], object]
    ) -> None:
        self._received = received
        self._lost = lost
        self._rest = b""

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message."""
        line = json.dumps(message, allow_nan=False, separators=(",", ":"))
        if self.transport is not None:
            self.transport.write(line.encode() + b"\n")

    def dataReceived(self, data: bytes) -> None:
        """Some of a message, or several."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._received(json.loads(line))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The other side is gone."""
        self._lost()
