"""A TLS server for the tests of certificates: says who has come, and closes.

Run with the arguments of a TLSConfig as JSON. It writes lines of JSON to standard output: its
port, then what happens to its certificates. SIGHUP has it reload at once.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol

from netsuite.net.certificates import (
    CertificateError,
    ServerCertificates,
    TLSConfig,
    peer_certificate,
)
from netsuite.net.tls import TLSFactory
from tests.running import install_reactor

WATCH_SECONDS = 0.05


def say(**fields: object) -> None:
    """One line, at once."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


class Answer(Protocol):
    """One answer, to whatever is asked: an HTTP response, for clients that want one."""

    transport: Any

    def dataReceived(self, data: bytes) -> None:
        shown = peer_certificate(self.transport)
        body = json.dumps({"client": shown and shown.subject.rfc4514_string()})
        self.transport.write(f"HTTP/1.0 200 OK\r\n\r\n{body}\n".encode())
        self.transport.loseConnection()


def main(config: dict[str, Any]) -> None:
    """Serve until killed."""
    reactor = install_reactor()
    for name in {"cert", "key", "directory", "client_ca"} & config.keys():
        config[name] = Path(config[name])
    config["alpn"] = tuple(config.get("alpn", ()))
    certificates = ServerCertificates(TLSConfig(**config))

    def failed(error: CertificateError) -> None:
        say(error=str(error))

    def reload() -> None:
        try:
            certificates.reload()
        except CertificateError as error:
            failed(error)

    certificates.watch(reactor, WATCH_SECONDS, lambda: say(reloaded=True), failed)
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(reload))
    factory = TLSFactory(certificates, False, Factory.forProtocol(Answer), reactor)
    endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    endpoint.listen(factory).addCallback(lambda port: say(port=port.getHost().port))
    reactor.run(installSignalHandlers=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
