"""What conch says of its peers: nothing that an operator has to read."""

from typing import Any

from twisted.logger import Logger, LogLevel


class PeersLogger(Logger):
    """Logs for debugging only, whatever level is asked for: peers' mistakes are not ours."""

    def emit(self, level: Any, format: str | None = None, **kwargs: object) -> None:  # noqa: A002
        """Log."""
        super().emit(LogLevel.debug, format, **kwargs)
