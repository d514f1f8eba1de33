import os
import time
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from netsuite.net import _certificates_files
from netsuite.net._certificates_watch import SETTLE_LOOKS, SETTLE_SECONDS, TICKET_KEY_SECONDS
from netsuite.net.certificates import CertificateError, ServerCertificates, TLSConfig
from netsuite.net.test.authority import DAY, Authority, Issued
from netsuite.net.test.handshake import (
    AUTHORITY,
    CertificatesCase,
    Connection,
    client_context,
)


class ReloadTests(CertificatesCase):
    def test_new_connections_get_the_new_certificate(self) -> None:
        old = self.put("one", "one.example")
        certificates = self.load()
        self.assertEqual(self.serial_for(certificates, None), old.serial)
        new = self.put("one", "one.example", ends=40 * DAY)
        self.assertEqual(self.serial_for(certificates, None), old.serial, "until it is reloaded")
        self.assertTrue(certificates.reload())
        self.assertEqual(self.serial_for(certificates, None), new.serial)
        (expiry,) = certificates.expiries.values()
        self.assertEqual(expiry, new.certificate.not_valid_after_utc.timestamp())

    def test_nothing_new(self) -> None:
        self.put("one", "one.example")
        certificates = self.load()
        self.assertFalse(certificates.reload())

    def test_a_file_by_another_name_is_new(self) -> None:
        self.put("one", "one.example")
        certificates = self.load()
        (self.directory / "one.pem").rename(self.directory / "two.pem")
        self.assertTrue(certificates.reload())
        self.assertEqual(list(certificates.expiries), [str(self.directory / "two.pem")])

    def test_the_last_good_ones_stay(self) -> None:
        old = self.put("one", "one.example")
        certificates = self.load()
        served = certificates.certificates
        self.put("two", "two.example")
        (self.directory / "one.pem").write_bytes(b"")
        self.assertRaises(CertificateError, certificates.reload)
        self.assertEqual(certificates.certificates, served, "all of them, or none")
        self.assertEqual(self.serial_for(certificates, "two.example"), old.serial)
        (self.directory / "one.pem").unlink()
        self.assertTrue(certificates.reload())

    def test_a_handshake_that_has_begun_goes_on_with_the_old_one(self) -> None:
        self.put("one", "one.example")
        old = self.put("two", "two.example")
        certificates = self.load()
        connection = Connection(certificates, "two.example")
        hello = connection.say()
        connection.deliver(hello[:20])
        new = self.put("two", "two.example")
        self.assertTrue(certificates.reload())
        connection.deliver(hello[20:])
        self.assertEqual(connection.shake_hands().serial, old.serial)
        self.assertEqual(self.serial_for(certificates, "two.example"), new.serial)

    def test_another_client_authority(self) -> None:
        self.put("one", "one.example")
        ca = self.directory / "ca"
        ca.write_bytes(AUTHORITY.pem)
        other = Authority("Other")
        mine = other.issue(client=True)
        certificates = self.load(client_ca=ca)
        ca.write_bytes(other.pem)
        self.assertTrue(certificates.reload())
        context = client_context(mine.write(self.directory / "mine"))
        connection = Connection(certificates, context=context).shake_hands()
        self.assertEqual(connection.recorder.shown, mine.certificate)

    def test_warnings_are_said_again(self) -> None:
        self.put("one", "one.example")
        certificates = self.load()
        self.put("one")
        with capturedLogs() as events:
            certificates.reload()
        self.assertEqual(len(events), 1)


class ChangedTests(CertificatesCase):
    def settle(self, *paths: Path) -> None:
        """Give files times that are long past."""
        for path in paths or self.directory.rglob("*"):
            os.utime(path, (1_700_000_000, 1_700_000_000))

    def loaded(self, **config: object) -> ServerCertificates:
        """Loaded so long after the last change that files are not read again."""
        certificates = ServerCertificates(
            TLSConfig(**{"directory": self.directory, **config}),  # type: ignore[arg-type]
            now=lambda: time.time() + 3600,
        )
        self.assertFalse(certificates.changed())
        return certificates

    def test_content(self) -> None:
        self.put("one", "one.example")
        certificates = self.loaded()
        self.put("one", "one.example")
        self.assertTrue(certificates.changed())
        certificates.reload()
        self.assertFalse(certificates.changed())

    def test_each_of_time_size_and_inode(self) -> None:
        path = self.directory / "one.pem"
        self.put("one", "one.example")
        self.settle()
        certificates = self.loaded()
        data = path.read_bytes()

        os.utime(path, ns=(0, 1))
        self.assertTrue(certificates.changed(), "time")
        self.assertFalse(certificates.reload(), "but nothing is different")
        self.assertFalse(certificates.changed())

        path.write_bytes(data + b"\n")
        self.settle(path)
        self.assertTrue(certificates.changed(), "size")
        certificates.reload()

        (self.directory / "new").write_bytes(data + b"\n")
        self.settle(self.directory / "new")
        (self.directory / "new").rename(path)
        self.assertTrue(certificates.changed(), "inode")

    def test_files_that_come_and_go(self) -> None:
        self.put("one", "one.example")
        certificates = self.loaded()
        self.put("two", "two.example")
        self.assertTrue(certificates.changed())
        certificates.reload()
        self.assertFalse(certificates.changed())
        (self.directory / "two.pem").unlink()
        self.assertTrue(certificates.changed())

    def test_other_files_do_not_matter(self) -> None:
        self.put("one", "one.example")
        certificates = self.loaded()
        (self.directory / "README").write_text("hello")
        (self.directory / ".one.pem.swp").write_text("hello")
        (self.directory / "two").mkdir()
        self.assertFalse(certificates.changed())

    def test_a_directory_that_goes_away_and_comes_back(self) -> None:
        self.put("one", "one.example")
        certificates = self.loaded()
        away = self.directory.with_name("away")
        self.directory.rename(away)
        self.assertTrue(certificates.changed())
        self.assertRaises(CertificateError, certificates.reload)
        away.rename(self.directory)
        self.assertFalse(certificates.changed())

    def test_key_and_client_authorities(self) -> None:
        issued = AUTHORITY.issue(["one.example"])
        cert, key, ca = (self.directory / name for name in ("cert", "key", "ca"))
        for path, data in {cert: issued.cert_pem, key: issued.key_pem, ca: AUTHORITY.pem}.items():
            path.write_bytes(data)
        certificates = self.loaded(directory=None, cert=cert, key=key, client_ca=ca)
        for path in (cert, key, ca):
            path.write_bytes(path.read_bytes() + b"\n")
            self.assertTrue(certificates.changed(), path)
            certificates.reload()
            self.assertFalse(certificates.changed())

    def test_the_target_of_a_symlink(self) -> None:
        """As certbot does it."""
        archive = self.directory / "archive"
        AUTHORITY.issue(["one.example"]).write_certbot(archive / "1")
        AUTHORITY.issue(["one.example"]).write_certbot(archive / "2")
        live = self.directory / "live" / "one.example"
        live.mkdir(parents=True)
        for name in ("fullchain.pem", "privkey.pem"):
            (live / name).symlink_to(archive / "1" / name)
        self.settle(*archive.rglob("*.pem"))
        certificates = self.loaded(directory=self.directory / "live")
        for name in ("fullchain.pem", "privkey.pem"):
            (live / "new").symlink_to(archive / "2" / name)
            (live / "new").rename(live / name)
            self.assertTrue(certificates.changed())
        self.assertTrue(certificates.reload())
        self.assertFalse(certificates.changed())

    def test_a_symlinked_directory(self) -> None:
        """As Kubernetes does it."""
        for version in ("v1", "v2"):
            (self.directory / version).mkdir()
            AUTHORITY.issue(["one.example"]).write(self.directory / version / "one.pem")
        served = self.directory / "served"
        served.symlink_to("v1")
        certificates = self.loaded(directory=served)
        (self.directory / "new").symlink_to("v2")
        (self.directory / "new").rename(served)
        self.assertTrue(certificates.changed())

    def test_a_change_so_soon_that_times_do_not_show_it(self) -> None:
        """Same size, same inode, and both within one tick of the file system's clock."""
        one, two = AUTHORITY.issue(["one.example"]), AUTHORITY.issue(["one.example"])
        path = one.write(self.directory / "one.pem")
        stamps = (((str(path)), (now := time.time_ns(), now, len(one.pem), 1, 1)),)
        self.patch(_certificates_files, "_stamp", lambda path: stamps[0][1])
        certificates = self.load()
        self.assertFalse(certificates.changed())
        path.write_bytes(two.pem)
        self.assertTrue(certificates.changed())
        self.assertTrue(certificates.reload())
        self.assertFalse(certificates.changed())
        path.unlink()
        path.symlink_to("nothing")
        self.assertTrue(certificates.changed())

    def test_files_are_read_again_for_a_second_only(self) -> None:
        self.put("one", "one.example")
        now = time.time()
        certificates = ServerCertificates(TLSConfig(directory=self.directory), now=lambda: now)
        self.assertFalse(certificates.changed())
        now += 3600
        self.assertFalse(certificates.changed())
        opened: list[object] = []
        self.patch(os, "open", opened.append)
        self.assertFalse(certificates.changed())
        self.assertEqual(opened, [])

    def test_a_self_signed_one_never_changes(self) -> None:
        certificates = self.load(self_signed=True)
        self.assertFalse(certificates.changed())
        self.assertFalse(certificates.reload())


class WatchTests(CertificatesCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.old = self.put("one", "one.example")
        self.certificates = self.load()
        self.reloads = 0
        self.errors: list[str] = []
        self.watch = self.certificates.watch(
            self.clock, 10.0, self.count_reload, lambda error: self.errors.append(str(error))
        )

    def tearDown(self) -> None:
        self.watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def stop_watch(self) -> None:
        self.watch.stop()

    def count_reload(self) -> None:
        self.reloads += 1

    def replace(self) -> Issued:
        return self.put("one", "one.example")

    @property
    def served(self) -> int:
        return self.serial_for(self.certificates, "one.example")

    def test_a_change_is_taken_once_it_is_at_rest(self) -> None:
        new = self.replace()
        self.clock.advance(10.0)
        self.assertEqual((self.served, self.reloads), (self.old.serial, 0))
        self.clock.advance(SETTLE_SECONDS)
        self.assertEqual((self.served, self.reloads), (new.serial, 1))
        self.clock.pump([10.0] * 3)
        self.assertEqual((self.reloads, self.errors), (1, []))

    def test_one_after_the_other_is_waited_for(self) -> None:
        """Key and certificate in files of their own are never right in between."""
        new = AUTHORITY.issue(["one.example"])
        path = self.directory / "one.pem"
        path.write_bytes(new.key_pem)
        self.clock.advance(10.0)
        with path.open("ab") as file:
            file.write(new.cert_pem)
        self.clock.advance(SETTLE_SECONDS)
        self.assertEqual((self.reloads, self.errors), (0, []), "it has just changed")
        self.clock.advance(SETTLE_SECONDS)
        self.assertEqual((self.served, self.reloads, self.errors), (new.serial, 1, []))

    def test_files_that_never_rest_are_read_in_the_end(self) -> None:
        self.clock.advance(9.0)
        for _ in range(SETTLE_LOOKS):
            self.replace()
            self.clock.advance(1.0)
        self.assertEqual(self.reloads, 0)
        new = self.replace()
        self.clock.advance(1.0)
        self.assertEqual((self.served, self.reloads), (new.serial, 1))

    def test_a_mistake_is_reported_once_and_tried_again_when_it_changes(self) -> None:
        path = self.directory / "one.pem"
        path.write_bytes(b"half of a certif")
        self.clock.pump([10.0, SETTLE_SECONDS, *[10.0] * 5])
        self.assertEqual(
            self.errors, [f"{path}: no certificate in it: expected a certificate in PEM"]
        )
        self.assertEqual((self.served, self.reloads), (self.old.serial, 0))
        path.write_bytes(b"half of another")
        self.clock.pump([10.0, SETTLE_SECONDS, *[10.0] * 5])
        self.assertEqual(len(self.errors), 2)
        new = self.replace()
        self.clock.pump([10.0, SETTLE_SECONDS])
        self.assertEqual((self.served, self.reloads), (new.serial, 1))

    def test_a_mistake_that_is_taken_back(self) -> None:
        path = self.directory / "one.pem"
        path.rename(self.directory / "away")
        self.clock.pump([10.0, SETTLE_SECONDS, 10.0])
        self.assertEqual(len(self.errors), 1)
        (self.directory / "away").rename(path)
        self.clock.pump([10.0, SETTLE_SECONDS, 10.0])
        self.assertEqual((self.served, len(self.errors)), (self.old.serial, 1))
        path.unlink()
        self.clock.pump([10.0, SETTLE_SECONDS, 10.0])
        self.assertEqual(len(self.errors), 2, "a mistake again")

    def test_a_reload_by_somebody_else(self) -> None:
        self.replace()
        self.clock.advance(10.0)
        self.certificates.reload()
        self.clock.pump([SETTLE_SECONDS, 10.0])
        self.assertEqual(self.reloads, 0)

    def test_a_callback_that_fails_ends_nothing(self) -> None:
        self.watch.stop()

        def fail() -> None:
            raise RuntimeError("a bug")

        self.watch = self.certificates.watch(self.clock, 10.0, fail)
        self.replace()
        self.clock.pump([10.0, SETTLE_SECONDS])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        new = self.replace()
        self.clock.pump([10.0, SETTLE_SECONDS])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.served, new.serial)

    def test_without_callbacks_it_is_logged(self) -> None:
        self.watch.stop()
        self.watch = self.certificates.watch(self.clock)
        new = self.replace()
        with capturedLogs() as events:
            self.clock.pump([10.0, SETTLE_SECONDS])
            (self.directory / "one.pem").write_bytes(b"")
            self.clock.pump([10.0, SETTLE_SECONDS])
        good, bad = events
        self.assertEqual(good["names"], "one.example")
        self.assertIn(good["fingerprint"].replace(":", "").lower(), fingerprint(new))
        self.assertIn("no certificate in it", str(bad["error"]))
        self.assertEqual(bad["log_level"].name, "error")

    def test_stop(self) -> None:
        self.watch.stop()
        self.watch.stop()
        self.replace()
        self.clock.advance(20.0)
        self.assertEqual(self.reloads, 0)

    def test_stop_in_a_callback(self) -> None:
        self.watch.stop()
        self.watch = self.certificates.watch(self.clock, 10.0, self.stop_watch)
        self.replace()
        self.clock.pump([10.0, SETTLE_SECONDS, 10.0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_short_interval_is_a_short_rest(self) -> None:
        self.watch.stop()
        self.watch = self.certificates.watch(self.clock, 0.05, self.count_reload)
        self.replace()
        self.clock.pump([0.05, 0.05])
        self.assertEqual(self.reloads, 1)

    def test_ticket_keys_are_renewed_once_a_day(self) -> None:
        context = client_context()
        session = Connection(self.certificates, context=context).shake_hands().client.session

        def resumed() -> bool:
            again = Connection(self.certificates, context=context, session=session)
            return bool(again.shake_hands().client.session_reused)

        self.clock.advance(TICKET_KEY_SECONDS - 1.0)
        self.assertTrue(resumed())
        self.clock.advance(10.0)
        self.assertFalse(resumed())


def fingerprint(issued: Issued) -> str:
    return issued.certificate.fingerprint(hashes.SHA256()).hex()
