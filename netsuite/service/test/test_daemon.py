import errno
import json
import os
import time
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from netsuite.net.test.fake_sockets import SocketReactor, connect
from netsuite.service import (
    ConfigError,
    Daemon,
    DaemonConfig,
    Listener,
    StartError,
    _daemon,
    json_line,
)
from netsuite.service._stats import ServiceStats


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

    def test_a_port_file_behind_a_link(self) -> None:
        path, link = Path(self.mktemp()), Path(self.mktemp())
        link.symlink_to(path.absolute())
        daemon = self.daemon(listener("tcp:9000"), port_file=link)
        daemon.startService()
        self.assertEqual(path.read_text(), "9000\n")
        self.assertTrue(link.is_symlink())
        daemon.stopService()
        self.assertFalse(path.exists())
        self.assertTrue(link.is_symlink())

    def test_what_is_no_file_is_no_port_file(self) -> None:
        path = Path(self.mktemp())
        os.mkfifo(path)
        daemon = self.daemon(listener("tcp:9000"), port_file=path)
        error = self.assertRaises(StartError, daemon.startService)
        self.assertEqual(str(error), f"cannot write port file {path}: it is no file")
        self.assertTrue(path.is_fifo())

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


class RunningCase(SynchronousTestCase):
    """A daemon on a reactor in memory, with connections over sockets in memory."""

    def setUp(self) -> None:
        self.sockets = SocketReactor()

    def daemon(self, *listeners: Listener, **config: Any) -> Daemon:
        self.reactor = Reactor()
        self.reactor.callLater = self.sockets.callLater  # type: ignore[method-assign]  # one time for both
        daemon = Daemon(
            DaemonConfig(**config),
            listeners or [listener("tcp:9000")],
            self.reactor,
            monotonic=self.sockets.seconds,
        )
        daemon.startService()
        self.addCleanup(daemon.stopService)
        return daemon

    def connect(self, host: str = "192.0.2.7", index: int = 0) -> Any:
        """The transport of a connection to a listening port; None if it was not let in."""
        factory = self.reactor.tcpServers[index][1]
        protocol = factory.buildProtocol(IPv4Address("TCP", host, 50_000))
        return None if protocol is None else connect(protocol, self.sockets)

    def refused(self, daemon: Daemon) -> dict[str, int]:
        return daemon.stats_now().listeners[0].refused


class ReloadTests(RunningCase):
    def test_rules_count_from_then_on_and_for_those_who_are_in(self) -> None:
        daemon = self.daemon()
        first = self.connect()
        daemon.reload(
            DaemonConfig(
                max_per_client=1,
                deny=("198.51.100.1",),
                rate=100_000,
                total_timeout=8,
                drain_timeout=3,
                log_level="debug",
            )
        )
        self.assertIsNone(self.connect())
        self.assertIsNone(self.connect("198.51.100.1"))
        self.assertIsNotNone(self.connect("192.0.2.8"))
        self.assertEqual(self.refused(daemon), {"client_connections": 1, "access": 1})
        self.assertEqual((daemon.drain_timeout, daemon.log_level), (3, "debug"))
        first.socket.incoming += bytes(1_000_000)
        self.sockets.run(2)
        self.assertTrue(190_000 <= first.bytes_received <= 220_000)
        self.sockets.run(8)
        self.assertEqual(daemon.active, 0)
        self.assertEqual(daemon.stats_now().listeners[0].cut, {"total": 2})

    def test_proxies(self) -> None:
        daemon = self.daemon(listener("tcp:9000", "tcp:9001:proxyFrom=192.0.2.1"))
        daemon.reload(DaemonConfig(proxy_from=("192.0.2.2",)))
        self.assertIsNone(self.connect("192.0.2.1"))
        self.assertIsNotNone(self.connect("192.0.2.2"))
        self.assertIsNotNone(self.connect("192.0.2.1", 1), "that endpoint says it itself")
        self.assertIsNone(self.connect("192.0.2.2", 1))

    def test_all_or_nothing(self) -> None:
        path = Path(self.mktemp())
        path.write_text("deny 192.0.2.9\ndefault allow\n")
        daemon = self.daemon(access_file=path, max_per_client=2)
        path.write_text("nonsense\n")
        with self.assertRaises(ConfigError) as caught:
            daemon.reload(DaemonConfig(access_file=path, max_per_client=1, total_timeout=1))
        self.assertIn("nonsense", str(caught.exception))
        with self.assertRaises(ConfigError):
            daemon.reload(DaemonConfig(max_per_client=1, tls_self_signed=True))
        self.assertIsNone(self.connect("192.0.2.9"))
        self.assertIsNotNone(self.connect())
        self.assertIsNotNone(self.connect())
        self.assertIsNone(self.connect())
        self.sockets.run(5)
        self.assertEqual(daemon.active, 2)
        self.assertEqual(daemon.stats_now().reloads, {"ok": 0, "failed": 2})

    def test_nothing_changes_before_all_is_read(self) -> None:
        daemon = self.daemon()
        commit = daemon.prepare(DaemonConfig(max_connections=1))
        self.assertIsNotNone(self.connect())
        self.assertIsNotNone(self.connect())
        self.assertEqual(daemon.stats_now().reloads, {"ok": 0, "failed": 0})
        commit()
        self.assertIsNone(self.connect())
        self.assertEqual(daemon.stats_now().reloads, {"ok": 1, "failed": 0})

    def test_one_that_failed_elsewhere_counts_too(self) -> None:
        daemon = self.daemon()
        daemon.reload_failed()
        self.assertEqual(daemon.stats_now().reloads, {"ok": 0, "failed": 1})

    def test_a_file_is_read_again(self) -> None:
        path = Path(self.mktemp())
        path.write_text("deny 192.0.2.7\ndefault allow\n")
        config = DaemonConfig(access_file=path)
        daemon = self.daemon(access_file=path)
        self.assertIsNone(self.connect())
        path.write_text("default allow\n")
        self.assertIsNone(self.connect(), "not before somebody says so")
        daemon.reload(config)
        self.assertIsNotNone(self.connect())


class BanTests(RunningCase):
    def test_it_refuses_and_cuts(self) -> None:
        daemon = self.daemon(listener("tcp:9000", "tcp:9001"))
        inside = [self.connect("192.0.2.7"), self.connect("192.0.2.9", 1)]
        outside = self.connect("198.51.100.1")
        daemon.ban("192.0.2.0/24")
        self.sockets.run(0)
        self.assertEqual([each.connected for each in inside], [0, 0])
        self.assertEqual((outside.connected, daemon.active), (1, 1))
        self.assertIsNone(self.connect())
        stats = daemon.stats_now()
        self.assertEqual(stats.listeners[0].cut, {"ban": 2})
        self.assertEqual(stats.listeners[0].refused, {"banned": 1})
        self.assertEqual(stats.banned, {"192.0.2.0/24": None})

    def test_it_ends_by_itself(self) -> None:
        daemon = self.daemon()
        before = time.time()
        daemon.ban("192.0.2.7", 10)
        ends = daemon.stats_now().banned["192.0.2.7/32"]
        assert ends is not None
        self.assertTrue(before + 10 <= ends <= time.time() + 10)
        self.assertIsNone(self.connect())
        self.sockets.advance(10)
        self.assertIsNotNone(self.connect())
        self.assertEqual(daemon.stats_now().banned, {})

    def test_it_can_be_taken_back(self) -> None:
        daemon = self.daemon()
        daemon.ban("192.0.2.7")
        self.assertFalse(daemon.unban("192.0.2.8"))
        self.assertTrue(daemon.unban("192.0.2.7"))
        self.assertFalse(daemon.unban("192.0.2.7"))
        self.assertIsNotNone(self.connect())

    def test_a_mapped_address_is_an_ipv4_address(self) -> None:
        daemon = self.daemon()
        inside = self.connect("192.0.2.7")
        daemon.ban("::ffff:192.0.2.7")
        self.sockets.run(0)
        self.assertEqual(inside.connected, 0)
        self.assertIsNone(self.connect("192.0.2.7"))
        self.assertTrue(daemon.unban("::ffff:192.0.2.7"))

    def test_behind_a_proxy_it_is_about_the_client(self) -> None:
        daemon = self.daemon(proxy_from=("192.0.2.0/24",))
        transports = [self.connect(), self.connect()]
        for last, transport in enumerate(transports, 1):
            transport.socket.incoming += b"PROXY TCP4 203.0.113.%d 192.0.2.1 4000 80\r\n" % last
        self.sockets.run(0)
        daemon.ban("203.0.113.1")
        self.sockets.run(0)
        self.assertEqual([each.connected for each in transports], [0, 1])

    def test_what_is_no_network_says_so(self) -> None:
        daemon = self.daemon()
        for wrong in ("everybody", "", "192.0.2.1/33"):
            for change in (daemon.ban, daemon.unban):
                with self.assertRaises(ValueError) as caught:
                    change(wrong)
                self.assertIn("expected", str(caught.exception))
        with self.assertRaises(ValueError):
            daemon.ban("192.0.2.1", 0)
        self.assertEqual(daemon.stats_now().banned, {})


class StatsTests(RunningCase):
    def test_a_moment(self) -> None:
        both = [
            Listener(name="one", factory=Factory.forProtocol(Protocol), endpoints=("tcp:9000",)),
            Listener(
                name="two",
                factory=Factory.forProtocol(Protocol),
                endpoints=("tcp:9001", "tcp:9002"),
            ),
        ]
        before = time.time()
        daemon = self.daemon(*both)
        self.connect()
        for index in (1, 2):
            self.connect("192.0.2.8", index)
        transport = self.connect("192.0.2.9", 2)
        transport.socket.incoming += b"hello"
        self.sockets.run(2)
        transport.loseConnection()
        self.sockets.run(0)
        stats = self.successResultOf(daemon.stats())
        self.assertEqual((stats.service, stats.pids, stats.draining), ("one", [os.getpid()], False))
        self.assertTrue(before <= stats.started <= time.time())
        self.assertEqual(
            [(each.name, each.addresses, each.accepted, each.active) for each in stats.listeners],
            [
                ("one", ["0.0.0.0:9000"], 1, 1),
                ("two", ["0.0.0.0:9001", "0.0.0.0:9002"], 3, 2),
            ],
        )
        self.assertEqual(stats.listeners[1].bytes_received, 5)
        self.assertEqual(stats.active, 3)
        self.assertEqual(stats.durations.count, 1)
        self.assertEqual(ServiceStats.from_json(stats.to_json()), stats)

    def test_limits_count_over_all_listeners(self) -> None:
        daemon = self.daemon(listener("tcp:9000", "tcp:9001"), max_connections=2)
        self.connect(index=0)
        self.connect(index=1)
        self.assertIsNone(self.connect(index=0))
        self.assertIsNone(self.connect(index=1))
        self.assertEqual(self.refused(daemon), {"connections": 2})

    def test_draining_and_the_end(self) -> None:
        daemon = self.daemon()
        self.connect()
        self.assertTrue(daemon.ready)
        stopped = daemon.stopService()
        self.assertNoResult(stopped)
        self.assertEqual((daemon.ready, daemon.stats_now().draining), (False, True))
        daemon.abort()
        self.sockets.run(0)
        self.successResultOf(stopped)
        stats = daemon.stats_now()
        self.assertEqual((stats.draining, stats.active), (False, 0))
        self.assertEqual(stats.listeners[0].cut, {"drain": 1})
        self.assertEqual(self.sockets.getDelayedCalls(), [], "no timer is left")


class AccessLogTests(RunningCase):
    def test_a_line_for_each_connection_until_the_last_one_is_gone(self) -> None:
        path = Path(self.mktemp())
        daemon = self.daemon(access_log=path)
        first, second = self.connect(), self.connect("192.0.2.8")
        first.loseConnection()
        self.sockets.run(0)
        self.assertEqual(len(path.read_text().splitlines()), 1)
        moved = path.rename(path.with_suffix(".1"))
        daemon.reopen_logs()
        daemon.stopService()
        second.loseConnection()
        self.sockets.run(0)
        [line] = path.read_text().splitlines()
        self.assertIn("listener=test client=192.0.2.8:50000", line)
        self.assertEqual(len(moved.read_text().splitlines()), 1)

    def test_a_service_that_is_started_again_goes_on(self) -> None:
        path = Path(self.mktemp())
        daemon = self.daemon(access_log=path)
        self.successResultOf(daemon.stopService())
        daemon.startService()
        self.connect().loseConnection()
        self.sockets.run(0)
        self.assertEqual(len(path.read_text().splitlines()), 1)

    def test_one_that_cannot_be_opened_is_a_config_error(self) -> None:
        with self.assertRaises(ConfigError) as caught:
            self.daemon(access_log=Path("/nowhere/log"))
        self.assertEqual(
            str(caught.exception), "access log /nowhere/log: No such file or directory"
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
