"""Tokens, and files of them."""

import hashlib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from netsuite.line.auth import (
    Authentication,
    TokenError,
    Tokens,
    new_token,
)
from netsuite.line.test.logins import FAILED, NO_DELAY, Serving, tokens


class TokenTests(SynchronousTestCase):
    """Tokens, and files of them."""

    def file(self, text: str) -> Path:
        path = Path(self.mktemp())
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return path

    def test_find(self) -> None:
        found = tokens().find("t0p")
        assert found is not None
        self.assertEqual((found.user, found.roles), ("ci", {"math", "deploy"}))
        for wrong in ("", "t0", "t0pp", "T0P", found.digest.hex(), f"sha256:{found.digest.hex()}"):
            self.assertIsNone(tokens().find(wrong))

    def test_new(self) -> None:
        self.assertNotEqual(new_token(), new_token())
        self.assertGreaterEqual(len(new_token()), 43)
        self.assertTrue(new_token().replace("-", "").replace("_", "").isalnum())

    def test_file(self) -> None:
        digest = hashlib.sha256(b"t0p").hexdigest()
        path = self.file(f"# ours\n\nsha256:{digest} ci math,deploy\r\n  sha256:{'0' * 64}\tann\n")
        found = Tokens.from_file(path)
        self.assertEqual(len(found), 2)
        self.assertEqual(found.find("t0p"), tokens().find("t0p"))
        self.assertIn("2", repr(found))

    def test_lines(self) -> None:
        """What a token says of itself is a line for a file."""
        made = Tokens()
        token = new_token()
        lines = [made.add(token, "ci", ["b", "a"]).line, made.add("x", "ann").line]
        self.assertNotIn(token, lines[0])
        found = Tokens.from_file(self.file("\n".join(lines)))
        self.assertEqual(found.find(token), made.find(token))
        self.assertEqual(found.find("x"), made.find("x"))

    MISTAKES = {
        "t0psecret": "2: 1 word: expected sha256:DIGEST USER",
        "t0psecret ann": "2: no SHA-256 in 64 hexadecimal digits: expected sha256:DIGEST USER",
        "sha256:t0psecret ann": "2: no SHA-256 in 64 hex",
        f"sha256:{'0' * 63} ann": "2: no SHA-256 in 64 hex",
        f"sha256:{'0' * 66} ann": "2: no SHA-256 in 64 hex",
        f"{'0' * 64} ann": "2: no SHA-256 in 64 hex",
        f"sha256:{'0' * 64} ann a, b": "2: 4 words: expected sha256:DIGEST USER",
        f"sha256:{'0' * 64} ann a,,b": "2: a role without a name: expected ROLE,ROLE",
        f"sha256:{'0' * 64} t0psecret\udcff": "2: no UTF-8: expected a text file",
        f"sha256:{'1' * 64} ann": "2: the same token as in line 1",
    }

    def test_mistakes(self) -> None:
        """One line says where, and repeats no secret."""
        for line, expected in self.MISTAKES.items():
            path = self.file(f"sha256:{'1' * 64} bob\n{line}\n")
            error = self.assertRaises(TokenError, Tokens.from_file, path)
            self.assertTrue(str(error).startswith(f"{path}, line {expected}"), str(error))
            self.assertNotIn("t0psecret", str(error))

    def test_no_file(self) -> None:
        error = self.assertRaises(TokenError, Tokens.from_file, "/nonexistent/tokens")
        self.assertEqual(
            str(error), "/nonexistent/tokens: No such file or directory: expected a file of tokens"
        )
        with self.assertRaisesRegex(TokenError, "of no file"):
            Tokens().reload()

    def test_reload(self) -> None:
        path = self.file(tokens().find("t0p").line)  # type: ignore[union-attr]  # it is there
        found = Tokens.from_file(path)
        serving = Serving(Authentication(tokens=found, delay=NO_DELAY))
        path.write_text("nonsense")
        self.assertRaises(TokenError, found.reload)
        self.assertEqual(serving.peer().say("AUTH TOKEN t0p"), b"OK\r\n")
        path.write_text("")
        found.reload()
        self.assertEqual(serving.peer().say("AUTH TOKEN t0p"), FAILED)

    def test_add(self) -> None:
        for token, user, roles in (
            ("", "ann", []),
            ("x", "", []),
            ("x", "a b", []),
            ("x", "a\n", []),
            ("x", "a", [""]),
            ("x", "a", ["b,c"]),
            ("x", "a", ["b c"]),
            ("t0p", "ann", []),
        ):
            self.assertRaises(ValueError, tokens().add, token, user, roles)
        self.assertRaises(TypeError, tokens().add, "x", "ann", "admin")
