"""Tools for line protocols: ``netsuite line connect`` and ``netsuite line stdio``.

A tool runs to its end; ``netsuite line`` with options, or with none, is the service.
"""

import importlib
import sys
from collections.abc import Callable, Sequence

from netsuite._command_line import EXIT_TROUBLE

#: The tools by name, with what ``--help`` says of them.
TOOLS = {
    "connect": "Give commands to a server of lines, from a terminal or a pipe",
    "stdio": "Serve an application of lines on the standard input and output",
}


def main(arguments: Sequence[str]) -> int:
    """Run a tool.

    :param arguments: without ``netsuite line``; the first one names a tool.
    :returns: the exit status.
    """
    name, rest = (arguments[0] if arguments else ""), list(arguments[1:])
    if name not in TOOLS:
        return _complain(f"{name!r} is no tool: expected one of {', '.join(TOOLS)}")
    # Each has much to import, and no use for what the other one needs.
    module, function = {
        "connect": ("netsuite.line._shell_run", "connect"),
        "stdio": ("netsuite.line.stdio", "main"),
    }[name]
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return _complain(f"{name}: this netsuite has no {module}")
    run: Callable[[Sequence[str]], int] = getattr(found, function)
    return run(rest)


def _complain(text: str) -> int:
    sys.stderr.write(f"netsuite line: {text}\n")
    return EXIT_TROUBLE
