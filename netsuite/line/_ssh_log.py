"""What conch says of its peers: nothing that an operator has to read."""

import sys
from typing import Any

from twisted.logger import Logger, LogLevel


class PeersLogger(Logger):
    """Logs for debugging only, and no tracebacks: peers' mistakes are not ours."""

    def emit(self, level: Any, format: str | None = None, **kwargs: object) -> None:  # noqa: A002
        """Log."""
        super().emit(LogLevel.debug, format, **kwargs)

    def failure(self, format: str, *arguments: Any, **kwargs: object) -> None:  # noqa: A002
        """Log what was raised."""
        self.emit(LogLevel.debug, format + ": {error!r}", error=sys.exc_info()[1], **kwargs)
