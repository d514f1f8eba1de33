from pathlib import Path
from typing import ClassVar

from netsuite.line._password_file import PasswordFile, PasswordFileError
from netsuite.line.test.logins import PasswordFileCase

#: What ``htpasswd -B -C 4`` makes of hunter2.
DIGEST = "$2y$04$.MRIIQADMLzABFK7VUgWFenJf8rVNH0NaQxEnrcdvUzwAG0TtOcJa"


class PasswordFileTests(PasswordFileCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_text(
            "# who may come\n\nalice:s3 cret\nbob:hunter2:math,admin\n\u00e9ve:\u00fc\n"
        )
        self.file = PasswordFile(self.path)

    def test_who_may_come(self) -> None:
        self.assertEqual(self.login("alice", "s3 cret"), b"alice")
        self.assertEqual(self.login("\u00e9ve", "\u00fc"), "\u00e9ve".encode())
        self.assertEqual(self.login("bob", "hunter2"), b"bob")

    def test_who_may_not(self) -> None:
        for name, password in [
            ("alice", "s3"),
            ("alice", ""),
            ("bob", "hunter2:math,admin"),
            ("mallory", ""),
            ("# who may come", ""),
            ("", ""),
        ]:
            self.refused(name, password)

    def test_roles(self) -> None:
        self.assertEqual(self.file.roles("bob"), {"math", "admin"})
        self.assertEqual(self.file.roles("alice"), frozenset())
        self.assertEqual(self.file.roles("mallory"), frozenset())

    def test_it_is_read_again_when_somebody_says_so(self) -> None:
        self.path.write_text("alice:new\n")
        self.login("alice", "s3 cret")
        commit = self.file.prepare()
        self.login("alice", "s3 cret")
        commit()
        self.refused("alice", "s3 cret")
        self.login("alice", "new")

    def test_a_file_that_became_wrong_changes_nothing(self) -> None:
        self.path.write_text("alice\n")
        self.assertRaises(PasswordFileError, self.file.prepare)
        self.login("alice", "s3 cret")

    WRONG: ClassVar[list[tuple[bytes, str]]] = [
        (b"alice", "line 1: expected USER:PASSWORD or USER:PASSWORD:ROLE,ROLE"),
        (b"\n:secret", "line 2: expected USER:PASSWORD"),
        (b"alice:", "line 1: expected USER:PASSWORD"),
        (b"alice:secret:a,b:c", "line 1: expected USER:PASSWORD"),
        (b"alice:secret:a,,b", "line 1: expected USER:PASSWORD"),
        (b"alice:secret:", "line 1: expected USER:PASSWORD"),
        (b"alice:secret\nalice:secret2", "line 2: the same user as in a line before"),
        (b"\xff:secret", "line 1: expected UTF-8"),
        (b"alice:secret:\xff", "line 1: expected UTF-8"),
        (b"alice:$apr1$secret$secret", "line 1: a digest that is not bcrypt's: expected $2y$"),
        (b"alice:{SHA}secret", "line 1: a digest that is not bcrypt's: expected $2y$"),
        (b"alice:$2y$10$secret", "line 1: a digest that is not bcrypt's: expected $2y$"),
        (
            b"alice:" + DIGEST.replace("$04$", "$31$").encode(),
            "line 1: a digest's cost: expected 4 to 14",
        ),
    ]

    def test_what_cannot_be_is_one_line_without_a_secret(self) -> None:
        for data, complaint in self.WRONG:
            self.path.write_bytes(data)
            error = self.assertRaises(PasswordFileError, PasswordFile, self.path)
            self.assertTrue(str(error).startswith(f"{self.path}, {complaint}"), str(error))
            self.assertNotIn("secret", str(error))

    def test_no_file(self) -> None:
        error = self.assertRaises(PasswordFileError, PasswordFile, "/nowhere/users")
        self.assertEqual(str(error), "/nowhere/users: No such file or directory")

    def test_passwords_are_not_shown(self) -> None:
        self.assertNotIn("hunter2", repr(vars(self.file)))
