"""``python -m netsuite`` is the console script ``netsuite``."""

from netsuite.service.console import main

main()
