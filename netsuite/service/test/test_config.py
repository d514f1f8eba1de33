from dataclasses import FrozenInstanceError, fields
from math import inf, nan
from pathlib import Path
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from netsuite.service import ConfigError, DaemonConfig, SettingError
from netsuite.service._config import MOST_WORKERS, admin_endpoint
from netsuite.service._daemon_settings import DAEMON_SETTINGS, RELOADABLE, reloaded


class DaemonConfigTests(SynchronousTestCase):
    BAD: ClassVar[list[tuple[dict[str, Any], str]]] = [
        ({"drain_timeout": -1}, "drain timeout -1: expected 0 seconds or more"),
        ({"drain_timeout": nan}, "drain timeout nan"),
        ({"drain_timeout": inf}, "drain timeout inf"),
        ({"log_level": "loud"}, "log level 'loud': expected one of debug, info"),
        ({"allow": ("10.0.0.1/8",)}, "allow '10.0.0.1/8': expected no host bits: 10.0.0.0/8"),
        ({"deny": ("here",)}, "deny 'here': expected an address"),
        ({"max_connections": 0}, "max connections 0: expected 1 or more"),
        ({"max_per_client": 0}, "max per client 0: expected 1 or more"),
        ({"client_prefix_ipv4": 33}, "client prefix IPv4 33: expected 0 to 32"),
        ({"client_prefix_ipv6": 129}, "client prefix IPv6 129: expected 0 to 128"),
        ({"accept_rate": 0}, "accept rate 0: expected more than 0 connections a second"),
        ({"client_accept_rate": -1}, "client accept rate -1"),
        ({"idle_timeout": 0}, "idle timeout 0: expected more than 0 seconds"),
        ({"total_timeout": nan}, "total timeout nan"),
        ({"stall_timeout": inf}, "stall timeout inf"),
        ({"rate": 0}, "rate 0: expected more than 0 bytes a second"),
        ({"client_rate": 0}, "client rate 0"),
        ({"tls_key": Path("k")}, "TLS key k: expected its certificate, tls-cert, too"),
        (
            {"tls_self_signed": True, "tls_cert": Path("c")},
            "TLS self signed and a TLS certificate c: expected one of the two",
        ),
        ({"tls_self_signed": True, "workers": 2}, "TLS self signed would be another one in each"),
        ({"tls_client_ca": Path("ca")}, "TLS client CA ca: expected tls-cert, tls-directory or"),
        ({"tls_min_version": "1.1"}, "TLS min version '1.1': expected 1.2 or 1.3"),
        ({"tls_client": "asked"}, "TLS client 'asked': expected required or optional"),
        ({"tls_client": "required"}, "TLS client required: expected tls-client-ca too"),
        ({"tls_alpn": ("",)}, "TLS ALPN '': expected 1 to 255 bytes"),
        ({"tls_alpn": ("x" * 256,)}, "expected 1 to 255 bytes"),
        ({"proxy_from": ("proxy",)}, "PROXY from 'proxy': expected an address"),
        ({"proxy_timeout": 0}, "PROXY timeout 0"),
        ({"admin": "somewhere"}, "admin 'somewhere': 'somewhere' is not a port"),
        ({"workers": 0}, f"workers 0: expected 1 to {MOST_WORKERS}"),
        ({"workers": MOST_WORKERS + 1}, f"workers {MOST_WORKERS + 1}"),
        ({"worker_sockets": "own"}, "worker sockets 'own': expected one of auto, shared"),
    ]

    def test_what_cannot_be(self) -> None:
        for values, complaint in self.BAD:
            error = self.assertRaises(SettingError, DaemonConfig, **values)
            self.assertIn(complaint, str(error))
            self.assertIn(error.field, values)
            self.assertEqual(str(error).count("\n"), 0)

    GOOD: ClassVar[list[dict[str, Any]]] = [
        {"drain_timeout": 0},
        {"client_prefix_ipv4": 0, "client_prefix_ipv6": 0},
        {"client_prefix_ipv4": 32, "client_prefix_ipv6": 128},
        {"max_connections": 1, "max_per_client": 1},
        {"allow": ("192.0.2.1", "192.0.2.5-9", "10.0.*.*", "2001:db8::/32")},
        {"tls_directory": Path("d"), "tls_client_ca": Path("ca")},
        {"tls_cert": Path("c"), "tls_directory": Path("d")},
        {"tls_self_signed": True, "tls_directory": Path("d")},
        {"tls_alpn": ("x" * 255,)},
        {"workers": MOST_WORKERS},
    ]

    def test_what_just_can_be(self) -> None:
        for values in self.GOOD:
            DaemonConfig(**values)

    def test_it_is_frozen(self) -> None:
        with self.assertRaises(FrozenInstanceError):
            DaemonConfig().workers = 2  # type: ignore[misc]  # that is the point

    def test_tls(self) -> None:
        self.assertFalse(DaemonConfig().tls)
        for values in (
            {"tls_cert": Path("c")},
            {"tls_directory": Path("d")},
            {"tls_self_signed": True},
        ):
            self.assertTrue(DaemonConfig(**values).tls)


class AdminEndpointTests(SynchronousTestCase):
    def test_short_forms(self) -> None:
        for text, endpoint in [
            ("9100", "tcp:9100:interface=127.0.0.1"),
            ("localhost:9100", "tcp:9100:interface=127.0.0.1"),
            ("192.0.2.1:0", "tcp:0:interface=192.0.2.1"),
            ("[::1]:9100", r"tcp6:9100:interface=\:\:1"),
            ("tcp:9100", "tcp:9100"),
            ("unix:/run/admin.sock", "unix:/run/admin.sock"),
        ]:
            self.assertEqual(admin_endpoint(text), endpoint)
        self.assertEqual(DaemonConfig(admin="1").admin_endpoint, "tcp:1:interface=127.0.0.1")
        self.assertIsNone(DaemonConfig().admin_endpoint)

    def test_what_is_none(self) -> None:
        for text in ("", "65536", "here", "127.0.0.1:x", "300.0.0.1:1", "[::1]:", "[x]:1"):
            error = self.assertRaises(ConfigError, admin_endpoint, text)
            self.assertIn(repr(text), str(error))


class ReloadedTests(SynchronousTestCase):
    def test_what_may_change_does(self) -> None:
        running = DaemonConfig(max_per_client=5, allow=("10.0.0.0/8",))
        new = DaemonConfig(max_per_client=6, deny=("10.0.0.1",), log_level="debug")
        self.assertEqual(reloaded(running, new), (new, ()))

    def test_what_may_not_stays_and_is_named(self) -> None:
        running = DaemonConfig(workers=1, port_file=Path("a"))
        new = DaemonConfig(workers=2, port_file=Path("b"), admin="1", rate=5)
        config, names = reloaded(running, new)
        self.assertEqual(config, DaemonConfig(workers=1, port_file=Path("a"), rate=5))
        self.assertEqual(names, ("port-file", "admin", "workers"))

    def test_tls_cannot_begin_or_end_but_its_files_can_change(self) -> None:
        plain = DaemonConfig()
        one = DaemonConfig(tls_cert=Path("one"))
        other = DaemonConfig(tls_cert=Path("other"), tls_min_version="1.3")
        self.assertEqual(reloaded(plain, one), (plain, ("tls-cert",)))
        self.assertEqual(reloaded(one, plain), (one, ("tls-cert",)))
        self.assertEqual(reloaded(one, other), (other, ()))

    def test_what_the_issue_promises_is_reloadable(self) -> None:
        self.assertLessEqual(
            {"allow", "deny", "access_file", "max_connections", "rate", "tls_cert", "log_level"},
            RELOADABLE,
        )

    def test_there_is_a_setting_for_each_field(self) -> None:
        self.assertEqual(
            {setting.field: setting.default for setting in DAEMON_SETTINGS},
            {field.name: field.default for field in fields(DaemonConfig)},
        )
