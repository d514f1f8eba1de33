"""Keys of SSH servers and of people."""

import os
import pwd
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given
from hypothesis import strategies as st
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.keys import Key
from twisted.cred.credentials import SSHPrivateKey
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import LineApp
from netsuite.line._ssh_auth import Realm
from netsuite.line._ssh_keys import (
    AuthorizedKeys,
    KeysByUser,
    PublicKeyChecker,
    parse_authorized_keys,
)
from netsuite.line.ssh import SSHError, load_host_key, ssh_factory
from netsuite.line.test._front_app import FrontApp
from tests.ssh_peer import (
    ALICE,
    MALLORY,
    RSA,
    USERAUTH_FAILURE,
    Exchange,
    public_line,
)

pytestmark = pytest.mark.once

ALICE_LINE, MALLORY_LINE = public_line(ALICE), public_line(MALLORY)
ME = pwd.getpwuid(os.getuid()).pw_name


class KeyCase(SynchronousTestCase):
    def path(self, content: bytes | str | None = None, name: str = "key") -> Path:
        directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, directory)
        path = directory / name
        if content is not None:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def assert_refused(self, text: str, function: Any, *arguments: Any, **given: Any) -> None:
        error = self.assertRaises(SSHError, function, *arguments, **given)
        self.assertIn(text, str(error))
        self.assertNotIn("\n", str(error))


class HostKeyTests(KeyCase):
    def test_keys_of_every_kind(self) -> None:
        for key in (ALICE, RSA):
            for subtype in ("v1", "PEM") if key is RSA else ("v1",):
                path = self.path(key.toString("openssh", subtype=subtype))
                self.assertEqual(load_host_key(path), key)

    def test_one_is_made_where_there_is_none(self) -> None:
        path = self.path()
        made = load_host_key(path, generate=True)
        self.assertEqual(made.sshType(), b"ssh-ed25519")
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(load_host_key(path, generate=True), made)
        public = path.with_name("key.pub").read_text()
        self.assertEqual(Key.fromString(public), made.public())
        Exchange(host_keys=[path]).secure()

    def test_one_is_written_when_it_is_served(self) -> None:
        path = self.path()
        given: dict[str, Any] = {"authorized_keys": {"alice": [ALICE_LINE]}, "host_keys": [path]}
        factories = [
            ssh_factory(FrontApp(), Clock(), generate_host_keys=True, **given) for _ in range(2)
        ]
        self.assertFalse(path.exists())
        for factory in factories:
            factory.doStart()
        made = load_host_key(path)
        for factory in factories:
            self.assertEqual(factory.privateKeys, {b"ssh-ed25519": made})

    def test_two_of_a_kind(self) -> None:
        given: dict[str, Any] = {"authorized_keys": {}, "host_keys": [ALICE, MALLORY]}
        self.assert_refused("one of each kind", ssh_factory, FrontApp(), None, **given)

    def test_none_is_made_where_nobody_asks(self) -> None:
        self.assert_refused("No such file", load_host_key, self.path())

    def test_a_directory_that_is_not_there(self) -> None:
        path = self.path() / "nowhere"
        self.assert_refused("No such file", load_host_key, path, generate=True)

    def test_what_is_no_key(self) -> None:
        for content in (b"", b"nonsense", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"):
            self.assert_refused("expected a private key", load_host_key, self.path(content))

    def test_the_public_key(self) -> None:
        self.assert_refused("this is the public key", load_host_key, self.path(ALICE_LINE))

    def test_a_key_with_a_passphrase(self) -> None:
        content = ALICE.toString("openssh", passphrase=b"secret")
        self.assert_refused("without a passphrase", load_host_key, self.path(content))

    def test_keys_of_the_past(self) -> None:
        weak = generate_private_key(65537, 1024).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        self.assert_refused("RSA of 1024 bits", load_host_key, self.path(weak))

    def test_without_conch(self) -> None:
        self.patch(sys, "modules", {**sys.modules, "twisted.conch.ssh.keys": None})
        self.assert_refused("install netsuite[ssh]", load_host_key, self.path())
        self.assert_refused(
            "install netsuite[ssh]", ssh_factory, LineApp("x"), None, host_keys=[ALICE]
        )


class AuthorizedKeysTests(KeyCase):
    def parsed(self, text: str, owner: str | None = "me") -> dict[str, set[bytes]]:
        found = parse_authorized_keys(text.encode(), "file", owner)
        return {user: entry.keys for user, entry in found.items()}

    def test_lines_are_the_owners(self) -> None:
        text = f"# comment\n\n{ALICE_LINE} laptop\n  {MALLORY_LINE}\n"
        self.assertEqual(self.parsed(text), {"me": {ALICE.blob(), MALLORY.blob()}})

    def test_lines_for_others(self) -> None:
        text = f'user="alice, bob" {ALICE_LINE}\nrestrict,user="bob" {MALLORY_LINE}'
        expected = {"alice": {ALICE.blob()}, "bob": {ALICE.blob(), MALLORY.blob()}}
        self.assertEqual(self.parsed(text, None), expected)

    def test_roles(self) -> None:
        text = f'roles="a,b" {ALICE_LINE}\nuser="me",roles="c" {MALLORY_LINE}'
        self.assertEqual(parse_authorized_keys(text.encode(), "", "me")["me"].roles, set("abc"))
        exchange = Exchange(keys_of={"alice": [ALICE]}, roles={"alice": ["math"]})
        line = f'roles="admin" {ALICE_LINE}'
        checker = PublicKeyChecker(KeysByUser({"alice": [line]}))
        exchange.factory.portal = Portal(Realm([{"alice": ["math"]}, checker.roles]), [checker])
        exchange.come_in()
        self.assertEqual(exchange.command(b"who"), (b"alice admin,math True\n", 0))

    def test_options_that_forbid_what_there_is_not(self) -> None:
        text = f"restrict,no-port-forwarding,no-X11-forwarding {ALICE_LINE}"
        self.assertEqual(self.parsed(text), {"me": {ALICE.blob()}})

    def test_options_that_would_be_missed(self) -> None:
        for option in (
            'command="x"',
            'from="10.0.0.0/8"',
            "cert-authority",
            "user",
            'restrict="x"',
        ):
            text = f"{ALICE_LINE}\n{option} {ALICE_LINE}"
            self.assert_refused("file, line 2: ", self.parsed, text)

    def test_a_quote_within_an_option(self) -> None:
        text = f'command="echo \\" x" {ALICE_LINE}'
        self.assert_refused("command: expected a public key", self.parsed, text)

    def test_nobodys_line(self) -> None:
        self.assert_refused('expected user="name"', self.parsed, ALICE_LINE, None)

    def test_what_is_no_key(self) -> None:
        for line in ("nonsense", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-dss AAAA", 'user="x"'):
            self.assert_refused("expected a public key", self.parsed, line)
            self.assert_refused("file, line 1: ", self.parsed, line)

    def test_a_key_that_is_too_short(self) -> None:
        weak = public_line(Key(generate_private_key(65537, 1024)))
        self.assert_refused("RSA of 1024 bits", self.parsed, weak)

    @given(st.text(max_size=80))
    def test_no_text_breaks_it(self, text: str) -> None:
        for line in (text, f"{text} {ALICE_LINE}"):
            try:
                self.parsed(line)
            except SSHError as error:
                self.assertTrue(str(error).startswith("file, line "))

    def test_a_file(self) -> None:
        path = self.path(f'{ALICE_LINE}\nuser="bob" {MALLORY_LINE}\n')
        keys = AuthorizedKeys(path)
        self.assertEqual(keys.of(ME).keys, {ALICE.blob()})
        self.assertEqual(keys.of("bob").keys, {MALLORY.blob()})
        self.assertEqual(keys.of("carol").keys, set())

    def test_a_file_that_changes(self) -> None:
        path = self.path(f'user="bob" {ALICE_LINE}\n')
        keys = AuthorizedKeys(path)
        path.write_text(f'user="bob" {ALICE_LINE}\nuser="bob" {MALLORY_LINE}\n')
        self.assertEqual(keys.of("bob").keys, {ALICE.blob(), MALLORY.blob()})
        path.write_text("nonsense")
        self.assert_refused("line 1", keys.of, "bob")
        path.unlink()
        self.assert_refused("No such file", keys.of, "bob")

    def test_a_file_that_cannot_be_used(self) -> None:
        self.assert_refused("No such file", AuthorizedKeys, self.path())
        self.assert_refused("line 1", AuthorizedKeys, self.path("nonsense"))

    def test_a_file_for_each_user(self) -> None:
        path = self.path(ALICE_LINE, "alice.keys")
        path.with_name("secret").write_text(MALLORY_LINE)
        keys = AuthorizedKeys(path.with_name("%u.keys"))
        self.assertEqual(keys.of("alice").keys, {ALICE.blob()})
        self.assertEqual(keys.of("bob").keys, set())
        keys = AuthorizedKeys(path.parent / "x" / "%u")
        (path.parent / "x").mkdir()
        for name in ("../secret", "..", "", "a/../../secret", "-x", "x" * 65):
            self.assertEqual(keys.of(name).keys, set())

    def test_keys_of_a_program(self) -> None:
        keys = KeysByUser({"alice": [ALICE_LINE], "bob": []})
        self.assertEqual(keys.of("alice").keys, {ALICE.blob()})
        self.assertEqual(keys.of("bob").keys, set())
        self.assert_refused("keys of bob, line 1", KeysByUser, {"bob": ["nonsense"]})

    def test_a_file_that_is_broken_later_lets_nobody_in_and_is_logged(self) -> None:
        path = self.path(f'user="alice" {ALICE_LINE}\n')
        exchange = Exchange()
        checker = exchange.factory.portal.checkers.popitem()[1]
        assert isinstance(checker, PublicKeyChecker)
        exchange.factory.portal.registerChecker(PublicKeyChecker(AuthorizedKeys(path)))
        path.write_text("nonsense")
        exchange.secure()
        with capturedLogs() as logs:
            self.assertEqual(exchange.sign("alice", ALICE), [USERAUTH_FAILURE])
        errors = [formatEvent(each) for each in logs if each["log_level"] is LogLevel.error]
        self.assertEqual(len(errors), 1)
        self.assertIn(f"{path}, line 1: nonsense", errors[0])


class CheckerTests(SynchronousTestCase):
    def check(self, signature: bytes) -> bytes:
        checker = PublicKeyChecker(KeysByUser({"alice": [ALICE_LINE]}))
        blob = ALICE.public().blob()
        return checker.requestAvatarId(
            SSHPrivateKey(b"alice", b"ssh-ed25519", blob, b"data", signature)
        )

    def test_a_signature(self) -> None:
        self.assertEqual(self.check(ALICE.sign(b"data")), b"alice")

    @given(
        st.one_of(
            st.binary(max_size=80), st.binary(max_size=70).map(lambda x: NS(b"ssh-ed25519") + NS(x))
        )
    )
    def test_signatures_that_are_none(self, signature: bytes) -> None:
        self.assertRaises(UnauthorizedLogin, self.check, signature)
