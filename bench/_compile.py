"""C programs, compiled when they are needed."""

import os
import shutil
import subprocess
from pathlib import Path

from bench._procs import BenchError

BUILD = Path(__file__).parent / "_build"


def compiler() -> str:
    """Return the path of the C compiler.

    :raises BenchError: if there is none.
    """
    name = os.environ.get("CC", "cc")
    found = shutil.which(name)
    if found is None:
        raise BenchError(f"no C compiler {name!r}: install the Debian package gcc, or set CC")
    return found


def compiled(source: Path) -> Path:
    """Compile a C program, unless that has been done since its source changed.

    :returns: the program.
    :raises BenchError: if it cannot be compiled.
    """
    program = BUILD / source.stem
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    BUILD.mkdir(exist_ok=True)
    fresh = program.with_suffix(f".{os.getpid()}")
    done = subprocess.run(
        [compiler(), "-O2", "-Wall", "-Wextra", "-o", fresh, source],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchError(f"{source.name} does not compile: {done.stderr.strip()}")
    return fresh.replace(program)
