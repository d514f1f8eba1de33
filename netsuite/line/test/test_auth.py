"""Logging in: who gets in, and what they may do."""

import hashlib
from pathlib import Path
from typing import Any

from twisted.cred.checkers import (
    AllowAnonymousAccess,
    FilePasswordDB,
    ICredentialsChecker,
)
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import LoginDenied, UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet import defer
from twisted.internet.defer import Deferred, fail
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from netsuite.line import LineApp, LineFactory
from netsuite.line.auth import (
    ATTEMPTS,
    CHECK_SECONDS,
    Authentication,
    IUser,
    Password,
    Tokens,
)
from netsuite.line.test.logins import FAILED, NO_DELAY, Asked, AvatarId, Serving, tokens, users


class LoginTests(SynchronousTestCase):
    """Who comes in."""

    def test_password(self) -> None:
        peer = Serving(Authentication([users(bob="s e\\cret")])).peer()
        self.assertEqual(peer.say("ADD 1 2"), b"ERR not-allowed ADD: expected AUTH first\r\n")
        self.assertEqual(peer.say("ping"), b"PONG\r\n")
        self.assertEqual(peer.say('auth plain bob "s e\\\\cret"'), b"OK\r\n")
        self.assertEqual(peer.say("ADD 1 2"), b"3\r\n")
        self.assertEqual(peer.say("whoami"), b"bob\r\n")

    def test_by_prefix(self) -> None:
        peer = Serving(Authentication([users(bob="x")])).peer()
        self.assertEqual(peer.say("au Plain bob x"), b"OK\r\n")

    def test_token(self) -> None:
        peer = Serving(Authentication(tokens=tokens())).peer()
        self.assertEqual(peer.say("AUTH TOKEN t0p"), b"OK\r\n")
        self.assertEqual(peer.session.user, "ci")
        self.assertEqual(peer.session.roles, {"math", "deploy"})

    def test_a_token_may_pass_in_plain_text(self) -> None:
        peer = Serving(Authentication(tokens=tokens()), secure=False).peer()
        self.assertEqual(peer.say("AUTH TOKEN t0p"), b"OK\r\n")

    def test_logout(self) -> None:
        peer = Serving(Authentication([users(bob="x")])).peer()
        self.assertEqual(peer.say("LOGOUT"), b"ERR not-allowed LOGOUT: expected AUTH first\r\n")
        peer.say("AUTH PLAIN bob x")
        self.assertEqual(peer.say("LOGOUT"), b"OK\r\n")
        self.assertEqual(peer.say("ADD 1 2")[:15], b"ERR not-allowed")
        self.assertEqual(peer.say("WHOAMI")[:15], b"ERR not-allowed")
        self.assertEqual(peer.say("AUTH PLAIN bob x"), b"OK\r\n")

    def test_in_one_segment(self) -> None:
        """Who is who counts from the next command on."""
        peer = Serving(Authentication([users(bob="x")])).peer()
        answers = peer.say("ADD 1 1\nAUTH PLAIN bob x\nADD 1 2\nLOGOUT\nADD 1 3\nPING")
        said = [line.split()[0] for line in answers.splitlines()]
        self.assertEqual(said, [b"ERR", b"OK", b"3", b"OK", b"ERR", b"PONG"])

    def test_twice(self) -> None:
        peer = Serving(Authentication([users(bob="x", eve="y")])).peer()
        peer.say("AUTH PLAIN bob x")
        refused = b"ERR not-allowed AUTH: expected LOGOUT first\r\n"
        self.assertEqual(peer.say("AUTH PLAIN eve y"), refused)
        self.assertEqual(peer.session.user, "bob")

    def test_not_required(self) -> None:
        peer = Serving(Authentication([users(bob="x")], required=False)).peer()
        self.assertEqual(peer.say("ADD 1 2"), b"3\r\n")
        self.assertEqual(peer.say("WHOAMI"), b"ERR not-allowed WHOAMI: expected AUTH first\r\n")
        self.assertEqual(peer.say("LOGOUT"), b"ERR not-allowed LOGOUT: expected AUTH first\r\n")
        self.assertEqual(peer.say("HALT"), b"ERR not-allowed HALT is not for you\r\n")

    def test_names_that_need_quotes(self) -> None:
        checker = users()
        checker.addUser("bob \N{SNOWMAN} smith".encode(), b"x")
        peer = Serving(Authentication([checker])).peer()
        self.assertEqual(peer.say('AUTH PLAIN "bob \N{SNOWMAN} smith" x'), b"OK\r\n")
        self.assertEqual(peer.say("WHOAMI"), '"bob \N{SNOWMAN} smith"\r\n'.encode())

    def test_help_shows_what_one_may(self) -> None:
        peer = Serving(Authentication([users(bob="x")])).peer()
        before = peer.say("HELP")
        self.assertIn(b"AUTH", before)
        for name in (b"ADD", b"HALT", b"LOGOUT", b"WHOAMI"):
            self.assertNotIn(name, before)
        peer.say("AUTH PLAIN bob x")
        after = peer.say("HELP")
        self.assertIn(b"LOGOUT", after)
        self.assertNotIn(b"HALT", after)

    def test_wrong_use(self) -> None:
        """No word of it is repeated: it may be a secret."""
        serving = Serving(Authentication([users(bob="x")], tokens=tokens()))
        both = b"ERR bad-argument AUTH: expected AUTH PLAIN user password or AUTH TOKEN token\r\n"
        peer = serving.peer()
        for line in (
            "AUTH hunter2",
            "AUTH PLAIN hunter2",
            "AUTH TOKEN a hunter2",
            "AUTH BASIC a b",
        ):
            self.assertEqual(peer.say(line), both)
        self.assertNotIn(b"hunter2", peer.say('AUTH PLAIN bob "hunter2'))
        self.assertNotIn(b"hunter2", peer.say("AUTH PLAIN bob hunter2\udcff"))
        self.assertIn(b"bad-argument", peer.say("AUTH"))
        self.assertFalse(peer.closing)
        only = Serving(Authentication([users(bob="x")])).peer()
        expected = b"ERR bad-argument AUTH: expected AUTH PLAIN user password\r\n"
        self.assertEqual(only.say("AUTH TOKEN t0p"), expected)
        only = Serving(Authentication(tokens=tokens())).peer()
        self.assertEqual(
            only.say("AUTH PLAIN a b"), b"ERR bad-argument AUTH: expected AUTH TOKEN token\r\n"
        )

    def test_plain_text(self) -> None:
        peer = Serving(Authentication([users(bob="x")], delay=NO_DELAY), secure=False).peer()
        for _ in range(ATTEMPTS + 1):
            refused = b"ERR not-allowed AUTH PLAIN: expected TLS\r\n"
            self.assertEqual(peer.say("AUTH PLAIN bob x"), refused)
        peer.session.secure = True
        self.assertEqual(peer.say("AUTH PLAIN bob x"), b"OK\r\n")

    def test_plain_text_if_one_likes(self) -> None:
        serving = Serving(Authentication([users(bob="x")], plain_over_plaintext=True), secure=False)
        self.assertEqual(serving.peer().say("AUTH PLAIN bob x"), b"OK\r\n")

    def test_utf8(self) -> None:
        """A password need not be text, where an application says so."""
        app = LineApp("x", invalid_utf8="surrogateescape")
        checker = users()
        checker.addUser(b"bob", b"\xff")
        serving = Serving(Authentication([users()]))
        serving.app = app
        app.add(Authentication([checker]))
        serving.factory = LineFactory(app, serving.clock)
        self.assertEqual(serving.peer().say("AUTH PLAIN bob \udcff"), b"OK\r\n")

    def test_login_limit(self) -> None:
        serving = Serving(Authentication([users(bob="x")]), login=30)
        late, early = serving.peer(), serving.peer()
        early.say("AUTH PLAIN bob x")
        serving.clock.advance(29.9)
        self.assertFalse(late.closing)
        serving.clock.advance(0.1)
        self.assertEqual(late.heard(), b"ERR timeout expected AUTH within 30 seconds\r\n")
        self.assertTrue(late.closing)
        self.assertFalse(early.closing)

    def test_nothing_to_log_in_with(self) -> None:
        with self.assertRaisesRegex(ValueError, "nobody could log in: expected checkers"):
            Authentication()
        with self.assertRaisesRegex(ValueError, "checkers and a portal"):
            Authentication([users()], portal=Portal(Realm(), [users()]))
        with self.assertRaisesRegex(ValueError, "not for passwords"):
            Authentication([AllowAnonymousAccess()])
        with self.assertRaisesRegex(ValueError, "not for passwords"):
            Authentication(portal=Portal(Realm(), [AllowAnonymousAccess()]))
        with self.assertRaisesRegex(ValueError, "attempts 0: expected 1 or more"):
            Authentication([users()], attempts=0)
        with self.assertRaisesRegex(TypeError, "roles 'admin': expected a collection"):
            Authentication([users()], roles={"bob": "admin"})


class RoleTests(SynchronousTestCase):
    """What they may do."""

    def test_one_of_them(self) -> None:
        roles = {"bob": ["math"], "ann": ["admin", "other"], "eve": ["other"]}
        everybody = [users(bob="x", ann="x", eve="x", joe="x")]
        serving = Serving(Authentication(everybody, roles=roles))
        for name, may in {"bob": True, "ann": True, "eve": False, "joe": False}.items():
            peer = serving.peer()
            peer.say(f"AUTH PLAIN {name} x")
            answer = b"halted\r\n" if may else b"ERR not-allowed HALT is not for you\r\n"
            self.assertEqual(peer.say("HALT"), answer, name)
            self.assertEqual(b"HALT" in peer.say("HELP"), may)

    def test_they_end_with_the_login(self) -> None:
        peer = Serving(Authentication([users(bob="x")], roles={"bob": ["math"]})).peer()
        answers = peer.say("AUTH PLAIN bob x\nHALT\nLOGOUT\nHALT")
        self.assertEqual(answers.splitlines()[1], b"halted")
        self.assertEqual(answers.splitlines()[3][:15], b"ERR not-allowed")
        self.assertEqual(peer.session.roles, frozenset())

    def test_looked_up_at_login(self) -> None:
        roles = {"bob": ["math"]}
        serving = Serving(Authentication([users(bob="x")], roles=roles))
        first, second = serving.peer(), serving.peer()
        first.say("AUTH PLAIN bob x")
        roles["bob"] = []
        second.say("AUTH PLAIN bob x")
        self.assertEqual((first.say("HALT"), second.say("HALT")[:3]), (b"halted\r\n", b"ERR"))

    def test_called(self) -> None:
        asked: list[str] = []

        def of(name: str) -> list[str]:
            asked.append(name)
            return ["math"]

        peer = Serving(Authentication([users(bob="x")], roles=of)).peer()
        self.assertEqual(peer.say("AUTH PLAIN bob x\nHALT"), b"OK\r\nhalted\r\n")
        self.assertEqual(asked, ["bob"])

    def test_awaited(self) -> None:
        later: Deferred[list[str]] = Deferred()

        async def of(name: str) -> list[str]:
            return await later

        peer = Serving(Authentication([users(bob="x")], roles=of)).peer()
        self.assertEqual(peer.say("AUTH PLAIN bob x\nHALT"), b"")
        later.callback(["math"])
        self.assertEqual(peer.heard(), b"OK\r\nhalted\r\n")

    def test_a_text_is_no_collection(self) -> None:
        peer = Serving(Authentication([users(bob="x")], roles=lambda name: "admin")).peer()
        self.assertEqual(peer.say("AUTH PLAIN bob x"), b"ERR failed AUTH failed\r\n")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertIsNone(peer.session.user)

    def test_a_token_s_own(self) -> None:
        """A token may do less than its user."""
        found = Tokens()
        found.add("t0p", "bob", ["other"])
        serving = Serving(Authentication([users(bob="x")], tokens=found, roles={"bob": ["math"]}))
        by_token, by_password = serving.peer(), serving.peer()
        self.assertEqual(by_token.say("AUTH TOKEN t0p\nHALT")[:7], b"OK\r\nERR")
        self.assertEqual(by_password.say("AUTH PLAIN bob x\nHALT"), b"OK\r\nhalted\r\n")


class CheckerTests(SynchronousTestCase):
    """Twisted's checkers, and others."""

    def test_in_order(self) -> None:
        first, second = Asked(), Asked()
        peer = Serving(Authentication([first, second])).peer()
        self.assertEqual(peer.say("AUTH PLAIN bob x"), b"")
        self.assertEqual(len(second.waiting), 0)
        first.waiting.pop()[1].errback(UnauthorizedLogin())
        name, answer = second.waiting.pop()
        self.assertEqual(name, b"bob")
        answer.callback(b"Bob")
        self.assertEqual(peer.heard(), b"OK\r\n")
        self.assertEqual(peer.session.user, "Bob")

    def test_the_first_that_knows(self) -> None:
        first, second = Asked(), Asked()
        peer = Serving(Authentication([first, second])).peer()
        peer.say("AUTH PLAIN bob x")
        first.waiting.pop()[1].callback(b"bob")
        self.assertEqual(peer.heard(), b"OK\r\n")
        self.assertEqual(second.waiting, [])

    def test_a_file(self) -> None:
        path = self.mktemp()
        Path(path).write_bytes(b"bob:s3cret\nann:x\n")
        peer = Serving(Authentication([FilePasswordDB(path)])).peer()
        self.assertEqual(peer.after("AUTH PLAIN bob x")[1], FAILED)
        self.assertEqual(peer.after("AUTH PLAIN joe x")[1], FAILED)
        self.assertEqual(peer.after("AUTH PLAIN bob s3cret")[1], b"OK\r\n")

    def test_a_file_of_digests(self) -> None:
        def digest(name: bytes, given: bytes, stored: bytes) -> bytes:
            return hashlib.sha256(given).hexdigest().encode()

        path = self.mktemp()
        Path(path).write_bytes(b"bob:" + digest(b"", b"s3cret", b"") + b"\n")
        peer = Serving(Authentication([FilePasswordDB(path, hash=digest)])).peer()
        self.assertEqual(peer.after("AUTH PLAIN bob x")[1], FAILED)
        self.assertEqual(peer.after("AUTH PLAIN bob s3cret")[1], b"OK\r\n")

    def test_a_missing_file(self) -> None:
        """It is a login that has failed, as Twisted has it, and in the log."""
        peer = Serving(Authentication([FilePasswordDB("/nonexistent/users")])).peer()
        answer = peer.after("AUTH PLAIN bob x")[1]
        self.assertEqual(answer, FAILED)

    def test_other_exceptions(self) -> None:
        """They are the operator's: logged, and the peer is told nothing of them."""
        checker = Asked()
        peer = Serving(Authentication([checker])).peer()
        peer.say("AUTH PLAIN bob x")
        checker.waiting.pop()[1].errback(OSError("ldap://secret.example is down"))
        self.assertEqual(peer.heard(), b"ERR failed AUTH failed\r\n")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertFalse(peer.closing)

    def test_an_exception_at_once(self) -> None:
        @implementer(ICredentialsChecker)
        class Broken(Asked):
            def requestAvatarId(self, credentials: Password) -> Deferred[AvatarId]:
                raise OSError("no")

        peer = Serving(Authentication([Broken()])).peer()
        self.assertEqual(peer.say("AUTH PLAIN bob x"), b"ERR failed AUTH failed\r\n")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_a_coroutine(self) -> None:
        @implementer(ICredentialsChecker)
        class Modern:
            credentialInterfaces = (IUsernamePassword,)

            async def requestAvatarId(self, credentials: Password) -> bytes:  # type: ignore[override]  # as Twisted's may be
                if credentials.password != b"x":
                    raise UnauthorizedLogin
                return credentials.username

        checker: Any = Modern()
        peer = Serving(Authentication([checker], delay=NO_DELAY)).peer()
        self.assertEqual(peer.say("AUTH PLAIN bob y\nAUTH PLAIN bob x"), FAILED + b"OK\r\n")

    def test_denied(self) -> None:
        @implementer(ICredentialsChecker)
        class Denying(Asked):
            def requestAvatarId(self, credentials: Password) -> Deferred[AvatarId]:
                return fail(LoginDenied())

        peer = Serving(Authentication([Denying()], delay=NO_DELAY)).peer()
        self.assertEqual(peer.say("AUTH PLAIN bob x"), FAILED)

    def test_no_name(self) -> None:
        """A checker that lets in who has no name is not understood."""
        for avatar_id in ((), None, 5, ""):
            checker = Asked()
            peer = Serving(Authentication([checker], delay=NO_DELAY)).peer()
            peer.say("AUTH PLAIN bob x")
            answer: Any = checker.waiting.pop()[1]
            answer.callback(avatar_id)
            self.assertEqual(peer.heard(), b"ERR failed AUTH failed\r\n")
            self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
            self.assertIsNone(peer.session.user)

    def test_no_answer(self) -> None:
        checker = Asked()
        serving = Serving(Authentication([checker]))
        peer = serving.peer()
        self.assertEqual(peer.say("AUTH PLAIN bob x"), b"")
        serving.clock.advance(CHECK_SECONDS - 1)
        self.assertEqual(peer.heard(), b"")
        serving.clock.advance(1)
        self.assertEqual(peer.heard(), b"ERR failed AUTH failed\r\n")
        self.assertEqual(checker.cancelled, 1)
        self.assertEqual(len(self.flushLoggedErrors(defer.TimeoutError)), 1)

    def test_passwords_are_compared_whole(self) -> None:
        credentials = Password(b"bob", b"secret")
        self.assertTrue(IUsernamePassword.providedBy(credentials))
        self.assertTrue(credentials.checkPassword(b"secret"))
        for wrong in (b"", b"secre", b"secrets", b"Secret"):
            self.assertFalse(credentials.checkPassword(wrong))


@implementer(IUser)
class User:
    def __init__(self, name: str, roles: list[str]) -> None:
        self.name = name
        self.roles = roles


@implementer(IRealm)
class Realm:
    """Users whose roles are their own, and a count of who is there."""

    def __init__(self) -> None:
        self.there: list[tuple[str, object]] = []
        self.breaks = False

    def requestAvatar(self, avatarId: AvatarId, mind: object, *interfaces: object) -> Any:
        assert interfaces == (IUser,)
        name = bytes(avatarId).decode()
        self.there.append((name, mind))
        return IUser, User(name.title(), ["math"]), lambda: self._leave(name, mind)

    def _leave(self, name: str, mind: object) -> None:
        self.there.remove((name, mind))
        if self.breaks:
            raise RuntimeError("leaving")


class PortalTests(SynchronousTestCase):
    """A realm says who somebody is."""

    def setUp(self) -> None:
        self.realm = Realm()
        portal = Portal(self.realm, [users(bob="x")])
        self.serving = Serving(Authentication(portal=portal))
        self.peer = self.serving.peer()

    def test_login(self) -> None:
        self.assertEqual(self.peer.after("AUTH PLAIN bob y")[1], FAILED)
        self.assertEqual(self.realm.there, [])
        self.assertEqual(self.peer.after("AUTH PLAIN bob x")[1], b"OK\r\n")
        self.assertEqual(self.peer.say("WHOAMI\nHALT"), b"Bob\r\nhalted\r\n")
        self.assertEqual(self.realm.there, [("bob", self.peer.session)])

    def test_logout(self) -> None:
        self.peer.say("AUTH PLAIN bob x\nLOGOUT")
        self.assertEqual(self.realm.there, [])
        self.peer.go()

    def test_the_end(self) -> None:
        self.peer.say("AUTH PLAIN bob x")
        self.peer.go()
        self.assertEqual(self.realm.there, [])

    def test_leaving_fails(self) -> None:
        self.realm.breaks = True
        self.assertEqual(self.peer.say("AUTH PLAIN bob x\nLOGOUT"), b"OK\r\nOK\r\n")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class LogTests(SynchronousTestCase):
    """Who has come in, and who has not; never with what."""

    def test_log(self) -> None:
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        peer = Serving(Authentication([users(bob="x")])).peer()
        peer.after("AUTH PLAIN hunter1 hunter2")
        peer.after("AUTH PLAIN bob x")
        told = [event["log_format"].format(**event) for event in events]
        self.assertEqual(
            told,
            [
                "192.0.2.1:5000: login failed (1 of 5: login-failed)",
                "bob has logged in from 192.0.2.1:5000",
            ],
        )
