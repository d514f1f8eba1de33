"""How much memory a table takes: a process of its own, which loads it and looks at itself."""

import ctypes
import gc
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from bench._procs import ROOT, BenchError
from netsuite.ip import IPSet, PrefixMap


def bytes_each(kind: str, path: Path) -> float:
    """Measure one structure in a fresh process.

    :param path: a file with a prefix a line.
    :returns: bytes of resident memory for each prefix.
    :raises BenchError: if the process fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bench._ip_memory", kind, path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise BenchError(f"memory of {kind}: {last}")
    return float(done.stdout)


def _ip_set(texts: list[str], _: list[int]) -> object:
    return IPSet(texts)


def _prefix_map(texts: list[str], values: list[int]) -> object:
    return PrefixMap(zip(texts, values, strict=True))


def _frozen(texts: list[str], values: list[int]) -> object:
    return PrefixMap(zip(texts, values, strict=True)).freeze()


def _pytricia(texts: list[str], values: list[int]) -> object:
    trie = import_module("pytricia").PyTricia(32)
    for text, value in zip(texts, values, strict=True):
        trie[text] = value
    return trie


def _radix(texts: list[str], values: list[int]) -> object:
    tree = import_module("radix").Radix()
    for text, value in zip(texts, values, strict=True):
        tree.add(text).data["value"] = value
    return tree


LOADERS: dict[str, Callable[[list[str], list[int]], object]] = {
    "IPSet": _ip_set,
    "PrefixMap": _prefix_map,
    "frozen": _frozen,
    "pytricia": _pytricia,
    "py-radix": _radix,
}


_LIBC = ctypes.CDLL(None)  # glibc's, like all that is measured here


def _resident() -> int:
    """The bytes in memory, without those that are free again and only kept for the next use."""
    gc.collect()
    _LIBC.malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Load what the command line names, and print what that took."""
    kind, path = sys.argv[1:]
    texts = Path(path).read_text().splitlines()
    values = list(range(len(texts)))
    LOADERS[kind](texts[:100], values[:100])  # its modules are not what we measure
    before = _resident()
    kept = LOADERS[kind](texts, values)
    print((_resident() - before) / len(texts))
    del kept


if __name__ == "__main__":
    main()
