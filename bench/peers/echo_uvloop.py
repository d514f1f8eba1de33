"""uvloop, under the very protocol of :mod:`bench.peers.echo_asyncio`; it sets TCP_NODELAY too."""

import uvloop

from bench.peers.echo_asyncio import main

uvloop.run(main())
