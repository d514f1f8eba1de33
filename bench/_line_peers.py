"""The servers that are compared at lines, at a cache and at publishing."""

from bench._peers import STOCK, UV, Peer, PythonPeer

REFERENCE = "linereceiver"
"""Of the lines: the peer that the ratios are taken to."""

LINE_APP = "bench.peers.line_app:app"


def netsuite_line(reactor: str, app: str) -> PythonPeer:
    """An application of netsuite."""
    return PythonPeer("line_netsuite", "netsuite", (reactor, app))


LINE_PEERS: dict[str, Peer] = {
    "netsuite": netsuite_line(UV, LINE_APP),
    "netsuite-epoll": netsuite_line(STOCK, LINE_APP),
    REFERENCE: PythonPeer("line_receiver", "Twisted", (STOCK,)),
    "linereceiver-uv": PythonPeer("line_receiver", "Twisted", (UV,)),
    "asyncio-streams": PythonPeer("line_asyncio"),
    "gevent": PythonPeer("line_gevent", "gevent"),
    "telnetlib3": PythonPeer("line_telnetlib3", "telnetlib3"),
}
