"""What netsuite adds to twistd, named by string: nothing of ours is imported here.

Every ``twistd`` on the machine imports this file, whatever it is about to run.
"""

from twisted.application.reactors import Reactor
from twisted.application.service import ServiceMaker

netsuite_uv = Reactor(
    "netsuite-uv",
    "netsuite.net.reactor",
    "uvloop based reactor: TCP connections at native speed, from netsuite",
)

netsuite_echo = ServiceMaker(
    "netsuite echo",
    "netsuite.echo.service",
    "Echo and its siblings: discard, chargen, quote, daytime and time (RFC 862-868)",
    "netsuite-echo",
)

netsuite_line = ServiceMaker(
    "netsuite line",
    "netsuite.line.service",
    "Line protocols: echo, ip, kv (memcached), chat, or an application of your own",
    "netsuite-line",
)

netsuite_suite = ServiceMaker(
    "netsuite suite",
    "netsuite.service.suite",
    "Several netsuite services in one process, from a TOML file",
    "netsuite",
)
