"""A program on the reactor of the tests: ``python -m tests.on_reactor SCRIPT [ARGUMENT...]``.

One that installs a reactor itself has that one.
"""

import runpy
import sys
from pathlib import Path

from twisted.internet import default

from tests.running import install_reactor


def main() -> None:
    default.install = install_reactor  # what Twisted does for who has not chosen
    sys.argv.pop(0)
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
