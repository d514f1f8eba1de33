"""``python -m bench NAME``: one command, one benchmark."""

import argparse
import signal
import sys
from typing import Protocol

from bench import echo, idle, ip, kv, limits, line, publish, reactor, soak
from bench._procs import BenchError


class Benchmark(Protocol):
    """What a module must offer to be a benchmark."""

    SUMMARY: str

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options of this benchmark."""

    def run(self, options: argparse.Namespace) -> None:
        """Measure and print.

        :raises BenchError: when it cannot.
        """


BENCHMARKS: dict[str, Benchmark] = {
    "echo": echo,
    "limits": limits,
    "idle": idle,
    "reactor": reactor,
    "soak": soak,
    "ip": ip,
    "line": line,
    "kv": kv,
    "publish": publish,
}


def main() -> int:
    """Run the benchmark that the command line names.

    :returns: the exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks of netsuite.")
    commands = parser.add_subparsers(metavar="NAME", required=True)
    for name, benchmark in BENCHMARKS.items():
        command = commands.add_parser(name, help=benchmark.SUMMARY, description=benchmark.SUMMARY)
        benchmark.add_options(command)
        command.set_defaults(run=benchmark.run)
    options = parser.parse_args()
    # An exception, so that the servers are stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        options.run(options)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())
