"""The console script ``netsuite``: ``netsuite echo`` is ``twistd -n netsuite-echo``.

Besides the services it has tools, which run to their end: those of this module know nothing of
Twisted, and a service's room may have its own (``netsuite line connect``).
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NoReturn

from twisted.application.reactors import NoSuchReactor, getReactorTypes, installReactor
from twisted.scripts.twistd import run

from netsuite._command_line import EXIT_TROUBLE, show
from netsuite._version import __version__
from netsuite.ip import cli as ip_cli
from netsuite.service._rooms import PREFIX, services, tools

#: Tools by name, with what ``--help`` says of them.
TOOLS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "ip": (ip_cli.main, "Sums with addresses and networks; searches logs for them"),
}

#: Several services in one process, with what ``--help`` says of it.
SUITE = ("run", "Several services in one process, from a TOML file (--config)")


def help_text() -> str:
    """What ``netsuite --help`` shows."""
    makers = services()
    found = {name: maker.description for name, maker in makers.items()}
    found[SUITE[0]] = SUITE[1]
    all_tools = {name: description for name, (_, description) in TOOLS.items()}
    for name, maker in makers.items():
        for tool, description in getattr(tools(maker), "TOOLS", {}).items():
            all_tools[f"{name} {tool}"] = description
    lines = [
        "Usage: netsuite [--reactor=NAME] SERVICE [options]",
        "       netsuite TOOL [options]",
        "",
        "Runs a network service in the foreground until it is told to stop (Ctrl-C), or a tool.",
        "",
        "Services:",
        *_listed(found),
        "",
        "Tools:",
        *_listed(all_tools),
        "",
        "Options:",
        "  --reactor=NAME  run on another of Twisted's reactors: epoll, poll, select, ...",
        "  --help          show this and exit",
        "  --version       show the version and exit",
        "",
        "netsuite SERVICE --help shows a service's options, netsuite TOOL --help a tool's.",
        f"As a daemon: twistd {PREFIX}SERVICE [options], see twistd --help.",
        "",
    ]
    return "\n".join(lines)


def _listed(descriptions: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, descriptions))
    return (f"  {name:{width}}  {text}" for name, text in descriptions.items())


def twistd_arguments(arguments: Sequence[str]) -> list[str]:
    """The ``twistd`` command line for one of ours.

    There is no process id file: it is for daemons, and would get in the way of a second
    service in the same directory.

    :param arguments: what came after ``netsuite``; the first one names a service.
    """
    service, *options = arguments
    plugin = "netsuite" if service == SUITE[0] else PREFIX + service
    return ["netsuite", "--nodaemon", "--pidfile=", plugin, *options]


def choose_reactor(arguments: list[str]) -> list[str]:
    """Install the reactor that ``--reactor`` at the beginning asks for.

    A mistake ends the program with one line.

    :returns: the other arguments.
    """
    flag, equals, name = arguments[0].partition("=")
    if flag != "--reactor":
        return arguments
    rest = arguments[1:]
    if not equals:
        name, rest = (rest[0], rest[1:]) if rest else ("", [])
    try:
        installReactor(name)
    except NoSuchReactor:
        expected = ", ".join(sorted(each.shortName for each in getReactorTypes()))
        _exit(f"--reactor: {name!r} is no reactor: expected one of {expected}")
    except Exception as error:  # noqa: BLE001 - each has its own reasons
        _exit(f"--reactor {name}: {error}")
    return rest


def run_tool_of_room(arguments: Sequence[str]) -> None:
    """Run a tool of a service's room to its end, and exit; return if there is none.

    :param arguments: the first one names a service, the second one a tool.
    """
    if len(arguments) < 2 or arguments[1].startswith("-"):
        return
    maker = services().get(arguments[0])
    found = None if maker is None else tools(maker)
    if found is not None and arguments[1] in found.TOOLS:
        raise SystemExit(found.main(arguments[1:]))


def _exit(message: str) -> NoReturn:
    sys.stderr.write(f"netsuite: {message}\n")
    raise SystemExit(EXIT_TROUBLE)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    :param arguments: without the program's name; those of the process by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given:
        given = choose_reactor(given)
    if not given or given[0] in {"--help", "-h", "help"}:
        show("netsuite", help_text())
        raise SystemExit(0 if given else EXIT_TROUBLE)
    if given[0] == "--version":
        show("netsuite", f"netsuite {__version__}\n")
        raise SystemExit(0)
    if given[0] in TOOLS:
        tool, _ = TOOLS[given[0]]
        raise SystemExit(tool(given[1:]))
    run_tool_of_room(given)
    if given[0] not in {*services(), SUITE[0]}:
        expected = ", ".join([*services(), SUITE[0], *TOOLS])
        _exit(f"{given[0]!r} is no service and no tool: expected one of {expected}")

    sys.argv = twistd_arguments(given)
    run()
    raise SystemExit(0)
