"""The command line ``netsuite ip``: sums with addresses, for files, pipes and arguments.

It exits with 0, with 1 where a command says so (``diff``: they differ; ``grep``: no line;
``free``: not so many), and with 2 for a mistake, which it names in one line.
"""

import signal
from collections.abc import Sequence

from netsuite._command_line import EXIT_OUTPUT_GONE, EXIT_TROUBLE
from netsuite.ip._errors import AddressError
from netsuite.ip.cli._options import options_of
from netsuite.ip.cli._streams import Streams, Trouble

__all__ = ["Streams", "main"]


def main(arguments: Sequence[str] | None = None, streams: Streams | None = None) -> int:
    """Run one command.

    :param arguments: without ``netsuite ip``; those of the process by default.
    :param streams: the standard streams; those of the process by default.
    :returns: the exit status.
    """
    streams = streams or Streams.of_process()
    prog = "netsuite ip"
    try:
        options = options_of(arguments)
        prog = f"netsuite ip {options.command}"
        status: int = options.run(options, streams)
        streams.output.flush()
    except Trouble as trouble:
        if str(trouble):
            streams.complain(f"{prog}: {trouble}")
        return EXIT_TROUBLE
    except AddressError as error:
        streams.complain(f"{prog}: {error}")
        return EXIT_TROUBLE
    except BrokenPipeError:
        # Whoever read our output has seen enough; we end as the signal would have ended us.
        streams.abandon_output()
        return EXIT_OUTPUT_GONE
    except OSError as error:
        streams.abandon_output()
        streams.complain(f"{prog}: {error.filename or 'output'}: {error.strerror}")
        return EXIT_TROUBLE
    except KeyboardInterrupt:
        streams.abandon_output()
        return 128 + signal.SIGINT
    return status
