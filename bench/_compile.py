"""C programs, compiled when they are needed."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench._procs import BenchError

BUILD = Path(__file__).parent / "_build"


@dataclass(frozen=True)
class Program:
    """A C program.

    :ivar source: its file; it may include others of the same directory.
    :ivar name: of the program, when one source makes several.
    :ivar defines: macros that are defined for it.
    :ivar libraries: to link with.
    :ivar packages: Debian packages that these come with.
    """

    source: Path
    name: str = ""
    defines: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    packages: str = ""


def compiler() -> str:
    """Return the path of the C compiler.

    :raises BenchError: if there is none.
    """
    name = os.environ.get("CC", "cc")
    found = shutil.which(name)
    if found is None:
        raise BenchError(f"no C compiler {name!r}: install the Debian package gcc, or set CC")
    return found


def compiled(program: Program) -> Path:
    """Compile a C program, unless that has been done since its source changed.

    :returns: the path of the program.
    :raises BenchError: if it cannot be compiled.
    """
    source = program.source
    target = BUILD / (program.name or source.stem)
    sources = [source, *source.parent.glob("*.h")]
    changed = max(path.stat().st_mtime for path in sources)
    if target.exists() and target.stat().st_mtime > changed:
        return target
    BUILD.mkdir(exist_ok=True)
    fresh = target.with_suffix(f".{os.getpid()}")
    command = [
        *(compiler(), "-O2", "-Wall", "-Wextra", "-o", str(fresh)),
        *(f"-D{macro}" for macro in program.defines),
        str(source),
        *(f"-l{library}" for library in program.libraries),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        needed = f"; it needs the Debian package {program.packages}" if program.packages else ""
        raise BenchError(f"{source.name} does not compile{needed}: {done.stderr.strip()}")
    return fresh.replace(target)
