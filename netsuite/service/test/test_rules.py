import resource
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip import AccessList, IPSet
from netsuite.net.certificates import TLSConfig
from netsuite.service import ConfigError, DaemonConfig, _rules
from netsuite.service._limits import StreamRules
from netsuite.service._rules import (
    RESERVED_DESCRIPTORS,
    Rules,
    descriptors,
    read_access,
    tls_of,
)


class RulesTests(SynchronousTestCase):
    def test_nothing_said(self) -> None:
        rules = Rules.read(DaemonConfig())
        self.assertIsNone(rules.admission.access)
        self.assertEqual(rules.admission.max_connections, descriptors())
        self.assertIsNone(rules.admission.max_per_client)
        self.assertEqual(rules.streams, StreamRules())
        self.assertEqual((rules.tls, rules.proxies), (None, None))

    def test_everything_said(self) -> None:
        rules = Rules.read(
            DaemonConfig(
                drain_timeout=3,
                deny=("192.0.2.1",),
                max_connections=5,
                max_per_client=2,
                client_prefix_ipv4=24,
                client_prefix_ipv6=48,
                accept_rate=7,
                client_accept_rate=1.5,
                idle_timeout=60,
                total_timeout=600,
                stall_timeout=30,
                rate=1e6,
                client_rate=2e6,
                tls_self_signed=True,
                proxy_from=("10.0.0.0/8", "2001:db8::1"),
                proxy_timeout=2,
            )
        )
        admission = rules.admission
        self.assertEqual((admission.max_connections, admission.max_per_client), (5, 2))
        self.assertEqual((admission.client_prefix_ipv4, admission.client_prefix_ipv6), (24, 48))
        self.assertEqual((admission.accept_rate, admission.client_accept_rate), (7, 1.5))
        self.assertIsNotNone(admission.access)
        self.assertEqual(
            rules.streams,
            StreamRules(
                idle_timeout=60, total_timeout=600, stall_timeout=30, rate=1e6, client_rate=2e6
            ),
        )
        self.assertEqual(rules.tls, TLSConfig(self_signed=True))
        self.assertEqual(rules.proxies, IPSet(["10.0.0.0/8", "2001:db8::1"]))
        self.assertEqual((rules.proxy_timeout, rules.drain_timeout), (2, 3))

    def test_as_many_connections_as_there_are_descriptors(self) -> None:
        for soft, expected in [
            (1024, 1024 - RESERVED_DESCRIPTORS),
            (65_536, 65_536 - RESERVED_DESCRIPTORS),
            (256, 192),
            (8, 6),
            (1, 1),
            (resource.RLIM_INFINITY, None),
        ]:
            self.patch(resource, "getrlimit", lambda which, soft=soft: (soft, soft))
            self.assertEqual(descriptors(), expected)
        self.assertIsNone(Rules.read(DaemonConfig()).admission.max_connections)

    def test_tls(self) -> None:
        self.assertIsNone(tls_of(DaemonConfig(tls_min_version="1.3")))
        self.assertEqual(
            tls_of(
                DaemonConfig(
                    tls_cert=Path("c"),
                    tls_key=Path("k"),
                    tls_directory=Path("d"),
                    tls_min_version="1.3",
                    tls_alpn=("h2",),
                    tls_client_ca=Path("ca"),
                    tls_client="optional",
                )
            ),
            TLSConfig(
                cert=Path("c"),
                key=Path("k"),
                directory=Path("d"),
                min_version="1.3",
                alpn=("h2",),
                client_ca=Path("ca"),
                client="optional",
            ),
        )


class AccessTests(SynchronousTestCase):
    def file(self, text: str | bytes) -> Path:
        path = Path(self.mktemp())
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def read(self, **config: Any) -> AccessList:
        access = read_access(DaemonConfig(**config))
        assert access is not None
        return access

    def allowed(self, access: AccessList, *texts: str) -> list[bool]:
        return [access.decide(ip_address(text)).allowed for text in texts]

    def test_deny_keeps_out_and_the_rest_may_come(self) -> None:
        access = self.read(deny=("192.0.2.0/24", "2001:db8::1-2001:db8::9"))
        self.assertEqual(
            self.allowed(access, "192.0.2.1", "2001:db8::9", "192.0.3.1", "2001:db8::a"),
            [False, False, True, True],
        )

    def test_with_allow_the_rest_is_kept_out(self) -> None:
        access = self.read(allow=("192.0.2.0/24",))
        self.assertEqual(
            self.allowed(access, "192.0.2.1", "192.0.3.1", "2001:db8::1"), [True, False, False]
        )

    def test_deny_wins_over_allow_however_narrow(self) -> None:
        access = self.read(allow=("192.0.2.1", "192.0.2.128/25"), deny=("192.0.2.0/25",))
        self.assertEqual(self.allowed(access, "192.0.2.1", "192.0.2.200"), [False, True])

    def test_the_file_comes_after_both(self) -> None:
        path = self.file("allow 192.0.2.1\ndeny 198.51.100.1\nallow 203.0.113.0/24\n")
        access = self.read(deny=("192.0.2.1",), allow=("198.51.100.1",), access_file=path)
        self.assertEqual(
            self.allowed(access, "192.0.2.1", "198.51.100.1", "203.0.113.9", "192.0.2.9"),
            [False, True, True, False],
        )

    def test_the_files_default_is_the_default(self) -> None:
        for default, expected in [("default allow", True), ("default deny", False), ("", False)]:
            path = self.file(f"deny 192.0.2.1\n{default}\n")
            for allow in ((), ("192.0.2.2",)):
                access = self.read(access_file=path, allow=allow)
                self.assertEqual(self.allowed(access, "192.0.2.9"), [expected])

    def test_an_empty_file_lets_nobody_in(self) -> None:
        """A list that was lost must not open the door."""
        self.assertEqual(self.allowed(self.read(access_file=self.file("")), "192.0.2.1"), [False])

    def assert_refused(self, path: Path, *expected: str) -> None:
        with self.assertRaises(ConfigError) as caught:
            self.read(access_file=path)
        message = str(caught.exception)
        self.assertNotIn("\n", message)
        for each in expected:
            self.assertIn(each, message)
        self.assertEqual(message.count(str(path)), 1, message)

    def test_a_wrong_line_is_named(self) -> None:
        path = self.file("# the office\nallow 192.0.2.0/24\n\npermit 198.51.100.1\n")
        self.assert_refused(path, "(line 4)", "'permit 198.51.100.1'", 'expected "allow" or "deny"')
        self.assert_refused(self.file("allow 192.0.2.256\n"), "(line 1)", "192.0.2.256", "expected")
        self.assert_refused(self.file("default deny\ndefault allow\n"), "(line 2)", "once")

    def test_a_file_that_is_not_there(self) -> None:
        path = Path(self.mktemp())
        self.assert_refused(path, f"access file {path}: No such file or directory")

    def test_a_file_that_is_no_text(self) -> None:
        path = self.file(b"allow 192.0.2.1\n\xff\xfe\n")
        self.assert_refused(path, f"access file {path}: expected UTF-8 text")

    def test_a_byte_order_mark_is_no_part_of_the_first_rule(self) -> None:
        access = self.read(access_file=self.file("\ufeffallow 192.0.2.1\n"))
        self.assertEqual(self.allowed(access, "192.0.2.1"), [True])

    def test_bounded(self) -> None:
        line = "deny 192.0.2.1 # ä\n".encode()
        self.patch(_rules, "MOST_ACCESS_BYTES", len(line))
        self.read(access_file=self.file(line))
        self.assert_refused(self.file(line + b"#"), f"expected up to {len(line)} bytes")
