"""The program that a supervisor runs for each worker; nobody else has a use for it."""

import sys

from twisted.scripts.twistd import run

from netsuite.service._snapshot import FILES
from netsuite.service._worker_link import FILES_GIVEN


def main() -> None:
    """Run the service that the arguments name, in the foreground, logging to the supervisor."""
    FILES.take_over(FILES_GIVEN)
    sys.argv[1:1] = ["--nodaemon", "--pidfile=", "--logfile=-"]
    run()


if __name__ == "__main__":
    main()
