"""Files as they were when the configuration in force was read.

A worker that is started again must not go by a file that somebody is just writing, and that
nobody has asked to be read. So a supervisor keeps what its configuration was read from, and
hands it to each worker.
"""

import json
import os
from pathlib import Path
from tempfile import TemporaryFile


class Snapshot:
    """Reads files, from what was handed over if they are in it."""

    def __init__(self) -> None:
        self._read: dict[str, bytes] = {}
        self._given: dict[str, bytes] = {}

    def read(self, path: Path, most: int = -1) -> bytes:
        """What is in a file.

        :param most: bytes that are read at most; all of them by default.
        :raises OSError: if it cannot be read.
        """
        name = str(path.absolute())
        if name in self._given:
            return self._given[name]
        with path.open("rb") as file:
            data = file.read(most)
        self._read[name] = data
        return data

    def begin(self) -> None:
        """Forget everything: files are read anew, from the disk."""
        self._read, self._given = {}, {}

    def handed_over(self) -> int:
        """A new file descriptor of a file with all that was read since the beginning."""
        texts = {name: data.decode("latin-1") for name, data in self._read.items()}
        with TemporaryFile() as file:
            file.write(json.dumps(texts).encode())
            file.flush()
            return os.dup(file.fileno())

    def take_over(self, descriptor: int) -> None:
        """Read from what was handed over, and close it."""
        data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        os.close(descriptor)
        self._given = {name: text.encode("latin-1") for name, text in json.loads(data).items()}


#: Where configurations are read from.
FILES = Snapshot()
