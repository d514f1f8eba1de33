"""``netsuite`` and ``python -m netsuite``: tools at once, everything else by Twisted's leave."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit."""
    if sys.argv[1:2] == ["ip"]:
        # A tool in a pipe should not wait for a reactor that it has no use for.
        from netsuite.ip.cli import main as tool

        raise SystemExit(tool(sys.argv[2:]))
    if sys.argv[1:2] == ["line"]:
        # Nor for the daemon layer, which is most of what there is to import.
        from netsuite.line import tools

        if sys.argv[2:3] and sys.argv[2] in tools.TOOLS:
            raise SystemExit(tools.main(sys.argv[2:]))

    from netsuite.service.console import main as console

    console()


if __name__ == "__main__":
    main()
