from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from netsuite.net.certificates import TLSConfig
from netsuite.net.test.handshake import AUTHORITY, CertificatesCase
from netsuite.service import ConfigError
from netsuite.service._certificates import DaemonCertificates


class DaemonCertificatesTests(CertificatesCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.directory / "cert.pem"
        self.first = self.put("cert", "localhost")

    def certificates(self, **config: Any) -> DaemonCertificates:
        return DaemonCertificates(TLSConfig(**config) if config else None)

    def mine(self) -> DaemonCertificates:
        return self.certificates(cert=self.path)

    def serial(self, mine: Any) -> int:
        return self.serial_for(mine, "localhost")

    def test_without_tls(self) -> None:
        none = self.certificates()
        self.assertEqual(none.expiries, {})
        with self.assertRaises(ConfigError):
            none.serverConnectionForTLS(None)
        none.prepare(None)()
        clock = Clock()
        none.watch(clock)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_what_is_served(self) -> None:
        mine = self.mine()
        self.assertEqual(self.serial(mine), self.first.serial)
        end = self.first.certificate.not_valid_after_utc.timestamp()
        self.assertEqual(mine.expiries, {str(self.path): end})

    def test_those_of_endpoints_are_listed_too(self) -> None:
        mine = self.mine()
        other = self.directory / "other.pem"
        self.put("other", "other")
        mine.add(self.load(cert=other))
        self.assertEqual(set(mine.expiries), {str(self.path), str(other)})

    def test_a_file_that_cannot_be_used(self) -> None:
        with self.assertRaises(ConfigError) as caught:
            self.certificates(cert=Path("/nowhere/cert.pem"))
        self.assertIn("/nowhere/cert.pem", str(caught.exception))

    def test_other_files(self) -> None:
        mine = self.mine()
        second = self.put("second", "localhost")
        commit = mine.prepare(TLSConfig(cert=self.directory / "second.pem"))
        self.assertEqual(self.serial(mine), self.first.serial, "not yet")
        commit()
        self.assertEqual(self.serial(mine), second.serial)

    def test_the_same_files_with_something_else_in_them(self) -> None:
        mine = self.mine()
        second = self.put("cert", "localhost")
        commit = mine.prepare(TLSConfig(cert=self.path))
        commit()
        self.assertEqual(self.serial(mine), second.serial)

    def test_nothing_changes_before_it_is_called(self) -> None:
        mine = self.mine()
        self.put("cert", "localhost")
        mine.prepare(TLSConfig(cert=self.path))
        self.assertEqual(self.serial(mine), self.first.serial)

    def test_nothing_changes_if_one_of_them_is_wrong(self) -> None:
        mine = self.mine()
        other = self.directory / "other.pem"
        self.put("other", "other")
        mine.add(self.load(cert=other))
        self.put("cert", "localhost")
        other.write_text("no certificate")
        for config in (TLSConfig(cert=self.path), TLSConfig(cert=self.path, min_version="1.3")):
            with self.assertRaises(ConfigError) as caught:
                mine.prepare(config)
            self.assertIn(str(other), str(caught.exception))
            self.assertEqual(self.serial(mine), self.first.serial)

    def test_tls_begins_and_ends_with_the_process(self) -> None:
        for mine, config in [(self.mine(), None), (self.certificates(), TLSConfig(cert=self.path))]:
            with self.assertRaises(ConfigError) as caught:
                mine.prepare(config)
            self.assertIn("expected a restart", str(caught.exception))

    def test_files_are_watched(self) -> None:
        mine = self.mine()
        self.put("other", "other")
        mine.add(self.load(cert=self.directory / "other.pem"))
        clock = Clock()
        mine.watch(clock)
        self.assertEqual(len(clock.getDelayedCalls()), 2)
        second = self.put("cert", "localhost")
        clock.pump([1.0] * 30)
        self.assertEqual(self.serial(mine), second.serial)
        mine.stop()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_other_files_are_watched_in_their_place(self) -> None:
        mine = self.mine()
        clock = Clock()
        mine.watch(clock)
        self.put("second", "localhost")
        path = self.directory / "second.pem"
        mine.prepare(TLSConfig(cert=path))()
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        third = AUTHORITY.issue(("localhost",))
        third.write(path)
        clock.pump([1.0] * 30)
        self.assertEqual(self.serial(mine), third.serial)
        mine.stop()
        mine.prepare(TLSConfig(cert=self.path))()
        self.assertEqual(clock.getDelayedCalls(), [], "no watch after the end")
