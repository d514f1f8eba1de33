"""``python -m netsuite.ip.cli`` is ``netsuite ip``, and has no Twisted to load first."""

import sys

from netsuite.ip.cli import main

sys.exit(main())
