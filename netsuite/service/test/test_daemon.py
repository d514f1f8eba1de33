import errno
import json
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from netsuite.service import (
    ConfigError,
    Daemon,
    DaemonConfig,
    Listener,
    StartError,
    _daemon,
    json_line,
)


class Reactor(MemoryReactorClock):
    """A reactor whose ports can be in use."""

    def __init__(self, *taken: int) -> None:
        super().__init__()
        self.taken = taken
        self.ports: list[Any] = []

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        if port in self.taken:
            raise CannotListenError(
                interface, port, OSError(errno.EADDRINUSE, "Address already in use")
            )
        if port < 1024:
            raise CannotListenError(
                interface, port, PermissionError(errno.EACCES, "Permission denied")
            )
        listening = super().listenTCP(port, factory, backlog, interface)
        listening.stopListening = mock.Mock(return_value=None)
        self.ports.append(listening)
        return listening


def listener(*endpoints: str, **more: Any) -> Listener:
    return Listener(name="test", factory=Factory.forProtocol(Protocol), endpoints=endpoints, **more)


class DaemonTests(SynchronousTestCase):
    def daemon(self, *listeners: Listener, taken: tuple[int, ...] = (), **config: Any) -> Daemon:
        self.reactor = Reactor(*taken)
        return Daemon(DaemonConfig(**config), listeners, self.reactor)

    def test_a_bad_endpoint_is_a_config_error(self) -> None:
        with self.assertRaises(ConfigError) as caught:
            self.daemon(listener("tcp:http"))
        self.assertEqual(
            str(caught.exception),
            "cannot listen on 'tcp:http': 'http' is not a port: expected a number from 0 to 65535",
        )

    def test_addresses_in_the_order_given(self) -> None:
        daemon = self.daemon(listener("tcp:9001", "tcp:9000"), listener("tcp:9002"))
        self.assertEqual(daemon.addresses, ())
        daemon.startService()
        self.assertEqual(
            [address.port for address in daemon.addresses],  # type: ignore[attr-defined]  # all TCP
            [9001, 9000, 9002],
        )

    def test_one_that_cannot_listen_stops_all(self) -> None:
        daemon = self.daemon(listener("tcp:9000", "tcp:9001"), taken=(9001,))
        with self.assertRaises(StartError) as caught:
            daemon.startService()
        self.assertEqual(
            str(caught.exception), "test: cannot listen on tcp:9001: address already in use"
        )
        [port] = self.reactor.ports
        port.stopListening.assert_called_once_with()
        self.assertEqual(daemon.addresses, ())

    def test_a_privileged_port_says_what_is_needed(self) -> None:
        with self.assertRaises(StartError) as caught:
            self.daemon(listener("tcp:7")).startService()
        self.assertIn("permission denied (ports below 1024 need root", str(caught.exception))

    def test_privileged_start_is_enough_to_listen(self) -> None:
        daemon = self.daemon(listener("tcp:9000"))
        daemon.privilegedStartService()
        daemon.startService()
        self.assertEqual(len(self.reactor.tcpServers), 1)

    def test_port_file(self) -> None:
        path = Path(self.mktemp())
        daemon = self.daemon(
            listener("tcp:9000", "unix:/run/test.sock"), listener("tcp:9001"), port_file=path
        )
        daemon.startService()
        self.assertEqual(path.read_text(), "9000\n/run/test.sock\n9001\n")
        daemon.stopService()
        self.assertFalse(path.exists())

    def test_a_port_file_of_somebody_else_stays(self) -> None:
        path = Path(self.mktemp())
        daemon = self.daemon(listener("tcp:9000"), port_file=path)
        daemon.startService()
        path.write_text("1234\n")
        daemon.stopService()
        self.assertEqual(path.read_text(), "1234\n")

    def test_a_port_file_that_is_gone_is_no_failure(self) -> None:
        path = Path(self.mktemp())
        daemon = self.daemon(listener("tcp:9000"), port_file=path)
        daemon.startService()
        path.unlink()
        self.successResultOf(daemon.stopService())

    def test_a_port_file_that_cannot_be_written_stops_all(self) -> None:
        path = Path(self.mktemp()) / "nowhere" / "port"
        daemon = self.daemon(listener("tcp:9000"), port_file=path)
        with self.assertRaises(StartError) as caught:
            daemon.startService()
        self.assertEqual(
            str(caught.exception), f"cannot write port file {path}: No such file or directory"
        )
        self.reactor.ports[0].stopListening.assert_called_once_with()

    def test_stop_before_start(self) -> None:
        self.successResultOf(self.daemon(listener("tcp:9000")).stopService())

    def test_a_factory_is_served_and_tracked(self) -> None:
        daemon = self.daemon(listener("tcp:9000"))
        daemon.startService()
        [(_, factory, _, _)] = self.reactor.tcpServers
        protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        self.assertIs(type(protocol), Protocol)
        self.assertEqual((daemon.active, daemon.aborted), (0, 0))

    def test_datagrams_listen_where_streams_do(self) -> None:
        listened: list[Any] = []
        self.patch(
            _daemon,
            "listen_datagram",
            lambda reactor, host, protocol, **more: listened.append((host, protocol)),
        )
        daemon = self.daemon(listener("tcp:9000", "unix:/run/x", datagrams=lambda: "a protocol"))
        daemon.startService()
        self.assertEqual(listened, [(IPv4Address("TCP", "0.0.0.0", 9000), "a protocol")])

    def test_datagrams_with_nowhere_to_listen_stop_all(self) -> None:
        daemon = self.daemon(listener("unix:/run/x", datagrams=lambda: None))
        with self.assertRaises(StartError) as caught:
            daemon.startService()
        self.assertEqual(
            str(caught.exception), "test: no address for UDP: expected a TCP endpoint too"
        )

    def test_a_datagram_port_in_use_stops_all(self) -> None:
        def refuse(reactor: Any, host: Any, protocol: Any, **more: object) -> None:
            raise CannotListenError("", 9000, OSError(errno.EADDRINUSE, "Address already in use"))

        self.patch(_daemon, "listen_datagram", refuse)
        daemon = self.daemon(listener("tcp:9000", datagrams=lambda: None))
        with self.assertRaises(StartError) as caught:
            daemon.startService()
        self.assertEqual(
            str(caught.exception),
            "test: cannot listen on UDP 0.0.0.0:9000: address already in use",
        )


class ReadyTests(SynchronousTestCase):
    def test_one_line_for_each_address(self) -> None:
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        reactor = Reactor()
        daemon = Daemon(DaemonConfig(), [listener("tcp:9000", "unix:/run/x")], reactor)
        daemon.startService()
        self.assertEqual([e for e in events if "service" in e], [], "not before the reactor runs")
        for hook, arguments, keywords in reactor.whenRunningHooks:
            hook(*arguments, **keywords)
        ready = [json.loads(json_line(event) or "") for event in events if "service" in event]
        self.assertEqual(
            [(each["message"], each["address"]) for each in ready],
            [
                ("ready: test on tcp 0.0.0.0:9000", "0.0.0.0:9000"),
                ("ready: test on unix /run/x", "/run/x"),
            ],
        )


class ConfigTests(SynchronousTestCase):
    def test_values_out_of_range(self) -> None:
        for wrong, named in [
            ({"drain_timeout": -1.0}, "drain timeout -1.0"),
            ({"drain_timeout": float("nan")}, "drain timeout nan"),
            ({"drain_timeout": float("inf")}, "drain timeout inf"),
            ({"log_format": "xml"}, "log format 'xml'"),
            ({"log_level": "loud"}, "log level 'loud'"),
        ]:
            with self.assertRaises(ConfigError) as caught:
                DaemonConfig(**wrong)  # type: ignore[arg-type]  # that is the point
            self.assertIn(named, str(caught.exception))
            self.assertIn("expected", str(caught.exception))
