"""The requests of one peer that have yet to begin, within limits."""

from collections import deque

from netsuite.line._errors import CommandError
from netsuite.line._limits import Limits
from netsuite.line._requests import Request


class Queue:
    """Requests in their order, and how many were refused between them."""

    __slots__ = ("_bytes", "_limits", "_requests", "_waiting")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._requests: deque[Request] | None = None
        self._waiting = 0
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._requests)

    def __len__(self) -> int:
        return len(self._requests or ())

    @property
    def first(self) -> Request | None:
        """The one that begins next."""
        return self._requests[0] if self._requests else None

    @property
    def takes_more(self) -> bool:
        """Whether there is a place, or one is told that there is none."""
        if not self._requests:
            return True
        if self._requests[-1].exclusive or self._bytes > self._limits.buffer:
            return False
        return self._waiting < self._limits.queued or self._limits.queue_full == "refuse"

    def put(self, request: Request) -> None:
        """Put a request at the end, or what its peer is told instead.

        A fatal one has its place always: what follows it can be no request.
        """
        if self._requests is None:
            self._requests = deque()
        if request.fatal or self._waiting < self._limits.queued:
            self._requests.append(request)
            self._waiting += 1
            self._bytes += request.size
        elif self._requests[-1].refused:
            self._requests[-1].refused += 1
        else:
            most = self._limits.queued
            error = CommandError("queue-full", f"expected at most {most} commands to wait")
            self._requests.append(Request(None, error=error, refused=1))

    def take(self) -> Request:
        """Take out the first one.

        :raises LookupError: if there is none.
        """
        if not self._requests:
            raise LookupError("nothing waits")
        request = self._requests[0]
        if request.refused > 1:
            request.refused -= 1
            return request
        self._requests.popleft()
        if not request.refused:
            self._waiting -= 1
            self._bytes -= request.size
        if not self._requests:
            self._requests = None  # most peers never wait
        return request

    def clear(self) -> None:
        """Forget them."""
        self._requests = None
        self._waiting = self._bytes = 0
