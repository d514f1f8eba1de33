"""A file that says where a daemon listens, for as long as it does."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from netsuite.net.endpoints import address_text
from netsuite.service._errors import StartError


class PortFile:
    """One line for each endpoint: its port number, or a UNIX socket's path."""

    _log = Logger()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text: str | None = None

    def write(self, addresses: Sequence[Any]) -> None:
        """Write it, all at once.

        :param addresses: of each endpoint, its first.
        :raises StartError: if that fails.
        """
        text = "".join(f"{_port_text(address)}\n" for address in addresses)
        path = self._path.resolve()  # a link stays one
        new = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            if path.exists() and not path.is_file():
                raise StartError(f"cannot write port file {self._path}: it is no file")
            new.write_text(text)
            new.replace(path)
        except OSError as error:
            _remove(new)
            raise StartError(f"cannot write port file {self._path}: {error.strerror}") from error
        self._text = text

    def remove(self) -> None:
        """Take it away, if it is still the one that was written."""
        text, self._text = self._text, None
        if text is None:
            return
        try:
            if self._path.read_text() == text:
                self._path.resolve().unlink()
        except OSError as error:
            self._log.warn("cannot remove port file {path}: {error}", path=self._path, error=error)


def _port_text(host: Any) -> str:
    return str(host.port) if hasattr(host, "port") else address_text(host).removeprefix("unix:")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the directory that could not be written to either
