from pathlib import Path
from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip import IPSet
from netsuite.net._layers import LayerError, Layers, split_layers
from netsuite.net.certificates import TLSConfig
from netsuite.net.endpoints import LAYER_OPTIONS, EndpointError, server_endpoint
from netsuite.net.proxy import ProxyFactory, ProxyProtocol
from netsuite.net.test.handshake import AUTHORITY, PEER
from netsuite.net.tls import TLSFactory


class SplitLayersTests(SynchronousTestCase):
    def test_none(self) -> None:
        for text in ("tcp:80", "unix:/run/a", "tcp6:80:interface=\\:\\:1", ""):
            self.assertEqual(split_layers(text), (text, Layers()))

    def test_every_option(self) -> None:
        plain, layers = split_layers(
            "tcp:443:tlsCert=c.pem:tlsKey=k.pem:tlsDirectory=/certs:tlsMinVersion=1.3"
            ":tlsALPN=h2, http/1.1:tlsClientCA=ca.pem:tlsClient=optional:interface=127.0.0.1"
            ":proxyFrom=10.0.0.0/8, 192.0.2.1:proxyTimeout=2.5:reusePort=yes"
        )
        self.assertEqual(plain, "tcp:443:interface=127.0.0.1")
        self.assertEqual(
            layers,
            Layers(
                TLSConfig(
                    cert=Path("c.pem"),
                    key=Path("k.pem"),
                    directory=Path("/certs"),
                    min_version="1.3",
                    alpn=("h2", "http/1.1"),
                    client_ca=Path("ca.pem"),
                    client="optional",
                ),
                IPSet(["10.0.0.0/8", "192.0.2.1"]),
                2.5,
                reuse_port=True,
            ),
        )

    def test_self_signed(self) -> None:
        self.assertEqual(
            split_layers("tcp:443:tlsSelfSigned=yes"),
            ("tcp:443", Layers(TLSConfig(self_signed=True))),
        )

    def test_every_option_has_been_tried(self) -> None:
        self.assertEqual(
            set(LAYER_OPTIONS),
            {
                *("tlsCert", "tlsKey", "tlsDirectory", "tlsSelfSigned", "tlsMinVersion", "tlsALPN"),
                *("tlsClientCA", "tlsClient", "proxyFrom", "proxyTimeout", "reusePort"),
            },
        )

    def test_options_can_be_anywhere(self) -> None:
        self.assertEqual(split_layers("reusePort=no:tcp:80")[0], "tcp:80")
        self.assertEqual(split_layers("tcp:reusePort=no:80")[0], "tcp:80")

    def test_escapes(self) -> None:
        plain, layers = split_layers(r"tcp6:443:tlsCert=/a\:b\\c\=d:proxyFrom=2001\:db8\:\:/32")
        self.assertEqual(plain, "tcp6:443")
        assert layers.tls is not None
        self.assertEqual(layers.tls.cert, Path("/a:b\\c=d"))
        self.assertEqual(layers.proxies, IPSet(["2001:db8::/32"]))

    def test_what_is_not_ours_keeps_its_escapes(self) -> None:
        text = r"unix:/a\:tlsCert=b\\:mode=600"
        self.assertEqual(split_layers(text), (text, Layers()))

    def assert_refused(self, text: str, expected: str) -> None:
        with self.assertRaises(LayerError) as caught:
            split_layers(text)
        self.assertEqual(str(caught.exception), expected)

    def test_mistakes(self) -> None:
        for text, expected in [
            ("tcp:1:tlsCert", "tlsCert=: expected a path"),
            ("tcp:1:tlsKey=", "tlsKey=: expected a path"),
            ("tcp:1:tlsDirectory=", "tlsDirectory=: expected a path"),
            ("tcp:1:tlsClientCA=", "tlsClientCA=: expected a path"),
            ("tcp:1:tlsCert=a:tlsCert=b", "tlsCert is given twice: expected once"),
            ("tcp:1:tlsSelfSigned=1", "tlsSelfSigned=1: expected yes or no"),
            ("tcp:1:reusePort=", "reusePort=: expected yes or no"),
            ("tcp:1:proxyTimeout=3", "proxyTimeout goes with proxyFrom: expected both"),
            ("tcp:1\\", "expected something after the backslash at the end"),
            ("tcp:1:tlsCert=a\\\\\\", "expected something after the backslash at the end"),
        ]:
            self.assert_refused(text, expected)
        for wrong in ("0", "-1", "nan", "inf", "soon", "", "1e999"):
            self.assert_refused(
                f"tcp:1:proxyFrom=::1:proxyTimeout={wrong}".replace("::1", "\\:\\:1"),
                f"proxyTimeout={wrong}: expected seconds, more than 0",
            )

    def test_a_wrong_network_is_named(self) -> None:
        with self.assertRaises(LayerError) as caught:
            split_layers("tcp:1:proxyFrom=10.0.0.0/8,example.net")
        self.assertTrue(
            str(caught.exception).startswith(
                "proxyFrom=10.0.0.0/8,example.net: 'example.net': expected an address"
            )
        )

    def test_mistakes_of_tls(self) -> None:
        for text, part in [
            ("tlsKey=k", "k: a key without a certificate"),
            ("tlsSelfSigned=no", "TLS without a certificate"),
            ("tlsClientCA=ca", "TLS without a certificate"),
            ("tlsSelfSigned=yes:tlsCert=c", "c: a self-signed certificate beside it"),
            ("tlsSelfSigned=yes:tlsMinVersion=1.1", "'1.1': expected 1.2 or 1.3"),
            ("tlsSelfSigned=yes:tlsClient=maybe", "'maybe': expected required or optional"),
            ("tlsSelfSigned=yes:tlsALPN=h2,", "application protocol ''"),
        ]:
            with self.assertRaises(LayerError) as caught:
                split_layers(f"tcp:1:{text}")
            self.assertIn(part, str(caught.exception))


class LayeredEndpointTests(SynchronousTestCase):
    def listen(self, description: str) -> tuple[MemoryReactorClock, Any]:
        reactor = MemoryReactorClock()
        factory: Any = Factory.forProtocol(Protocol)
        server_endpoint(reactor, description).listen(factory)
        return reactor, factory

    def test_without_layers_the_factory_is_at_the_socket(self) -> None:
        reactor, factory = self.listen("tcp:80")
        self.assertIs(reactor.tcpServers[0][1], factory)

    def test_tls(self) -> None:
        reactor, factory = self.listen("tcp:443:tlsSelfSigned=yes")
        tls: Any = reactor.tcpServers[0][1]
        self.assertIsInstance(tls, TLSFactory)
        self.assertIs(tls.wrappedFactory, factory)

    def test_the_proxy_header_comes_before_tls(self) -> None:
        for description in (
            "tcp:443:tlsSelfSigned=yes:proxyFrom=192.0.2.0/24:proxyTimeout=3",
            self.ssl("proxyFrom=192.0.2.0/24:proxyTimeout=3"),
        ):
            reactor, factory = self.listen(description)
            proxy: Any = reactor.tcpServers[0][1]
            self.assertIsInstance(proxy, ProxyFactory, description)
            self.assertIsInstance(proxy.wrapped, TLSMemoryBIOFactory)
            self.assertIs(proxy.wrapped.wrappedFactory, factory)
            self.assertIsInstance(proxy.buildProtocol(PEER), ProxyProtocol)

    def ssl(self, more: str) -> str:
        path = AUTHORITY.issue("localhost").write(Path(self.mktemp()))
        return f"ssl:443:privateKey={path}:certKey={path}:{more}"

    def test_tls_twice(self) -> None:
        with self.assertRaises(EndpointError) as caught:
            server_endpoint(MemoryReactorClock(), self.ssl("tlsSelfSigned=yes"))
        self.assertIn("TLS twice: expected tcp:, tcp6:, or one of the two", str(caught.exception))

    def test_a_mistake_names_the_whole_string(self) -> None:
        for wrong in ("tcp:443:tlsSelfSigned=maybe", "tcp:443:tlsCert=/nowhere/cert.pem"):
            with self.assertRaises(EndpointError) as caught:
                server_endpoint(MemoryReactorClock(), wrong)
            message = str(caught.exception)
            self.assertTrue(message.startswith(f"{wrong!r}: "), message)
            self.assertNotIn("\n", message)

    def test_what_the_endpoint_says_can_be_asked(self) -> None:
        reactor = MemoryReactorClock()
        endpoint = server_endpoint(
            reactor, "tcp:443:tlsSelfSigned=yes:proxyFrom=192.0.2.1:proxyTimeout=3:reusePort=yes"
        )
        self.assertIsInstance(endpoint.plain, TCP4ServerEndpoint)
        assert endpoint.certificates is not None
        self.assertTrue(endpoint.certificates.config.self_signed)
        self.assertEqual(endpoint.proxies, IPSet(["192.0.2.1"]))
        self.assertEqual(endpoint.proxy_timeout, 3)
        self.assertTrue(endpoint.reactor.reuse_port)
        self.assertTrue(IReactorTime.providedBy(endpoint.reactor.bare))
