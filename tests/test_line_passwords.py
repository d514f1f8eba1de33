"""Files of passwords with bcrypt's digests in them, and bcrypt."""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred

from netsuite.line._password_file import PasswordFile, PasswordFileError
from netsuite.line.auth import Password
from netsuite.line.test.logins import PasswordFileCase

pytestmark = pytest.mark.once

#: What ``htpasswd -B -C 4`` makes of hunter2.
DIGEST = "$2y$04$.MRIIQADMLzABFK7VUgWFenJf8rVNH0NaQxEnrcdvUzwAG0TtOcJa"


class DigestTests(PasswordFileCase):
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name, "users")

    def test_digests(self) -> None:
        threads: list[Callable[[], bool]] = []
        answers: list[Deferred[bool]] = []

        def in_thread(check: Callable[[], bool]) -> Deferred[bool]:
            threads.append(check)
            answers.append(Deferred())
            return answers[-1]

        self.path.write_text(f"bob:{DIGEST}:math\n")
        self.file = PasswordFile(self.path, in_thread)
        for password, good in (("hunter2", True), ("hunter3", False), (DIGEST, False)):
            asked = self.file.requestAvatarId(Password(b"bob", password.encode()))
            self.assertNoResult(asked)
            answers.pop().callback(threads.pop()())
            if good:
                self.assertEqual(self.successResultOf(asked), b"bob")
            else:
                self.failureResultOf(asked, UnauthorizedLogin)
        self.refused("mallory", "hunter2")
        self.assertEqual(self.file.roles("bob"), {"math"})

    def test_digests_without_threads(self) -> None:
        self.path.write_text(f"bob:{DIGEST}\n")
        self.file = PasswordFile(self.path)
        self.login("bob", "hunter2")
        for password in ("", "hunter3", "hunter2\0", "x" * 72, "x" * 73):
            self.refused("bob", password)

    def test_digests_without_what_checks_them(self) -> None:
        self.path.write_text(f"bob:{DIGEST}\n")
        self.patch(sys, "modules", {**sys.modules, "bcrypt": None})
        error = self.assertRaises(PasswordFileError, PasswordFile, self.path)
        complaint = "line 1: a digest: install netsuite[passwords]"
        self.assertEqual(str(error), f"{self.path}, {complaint}")
