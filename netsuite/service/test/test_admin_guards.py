from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from netsuite.service import ConfigError
from netsuite.service.admin import exposure_warning, make_token, read_token
from netsuite.service.admin._token import (
    FAILURE_PERIOD,
    LEAST_TOKEN,
    MAX_CLIENTS,
    MAX_FAILURES,
    MOST_TOKEN,
)
from netsuite.service.test.admin_client import TOKEN, Client


class TokenTests(SynchronousTestCase):
    def write(self, data: bytes) -> Path:
        path = Path(self.mktemp())
        path.write_bytes(data)
        return path

    def test_tokens_are_made_anew(self) -> None:
        tokens = {make_token() for _ in range(100)}
        self.assertEqual(len(tokens), 100)
        for token in tokens:
            self.assertEqual(read_token(self.write(token.encode())), token)

    def test_file(self) -> None:
        self.assertEqual(
            read_token(self.write(b"  a-token-of-some-length\r\n\n")), "a-token-of-some-length"
        )

    def test_lengths(self) -> None:
        for length in (LEAST_TOKEN, MOST_TOKEN):
            self.assertEqual(len(read_token(self.write(b"x" * length + b"\n"))), length)
        for length in (0, LEAST_TOKEN - 1, MOST_TOKEN + 1, MOST_TOKEN * 9):
            with self.assertRaises(ConfigError):
                read_token(self.write(b"x" * length))

    def test_what_is_no_token(self) -> None:
        for data in (b"two words or even more", b"one line and\nanother one", "ä".encode() * 20):
            path = self.write(data)
            with self.assertRaises(ConfigError) as caught:
                read_token(path)
            self.assertEqual(
                str(caught.exception),
                f"admin token file {path}: expected one line of 16 to 1024 ASCII characters "
                "without spaces",
            )

    def test_no_file(self) -> None:
        path = Path(self.mktemp())
        with self.assertRaises(ConfigError) as caught:
            read_token(path)
        self.assertEqual(
            str(caught.exception),
            f"cannot read admin token file {path}: No such file or directory",
        )

    def test_a_directory(self) -> None:
        with self.assertRaises(ConfigError):
            read_token(Path())


class GuardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = Client()

    def try_token(self, token: str = "wrong", scheme: str = "Bearer") -> int:
        return self.client.post("/api/check", Authorization=f"{scheme} {token}").code

    def test_schemes(self) -> None:
        for scheme in ("Bearer", "bearer", "BEARER "):
            self.assertEqual(self.try_token(TOKEN, scheme), 200)
        for scheme in ("Basic", "", "Bearerx"):
            self.assertEqual(self.try_token(TOKEN, scheme), 401)

    def test_bytes_that_are_no_ascii(self) -> None:
        self.assertEqual(self.try_token("\xff\xfe"), 401)

    def test_guessing(self) -> None:
        for _ in range(MAX_FAILURES):
            self.assertEqual(self.try_token(), 401)
        self.client.clock.advance(0.5)
        reply = self.client.post("/api/drain")
        self.assertEqual((reply.code, reply.headers["Retry-After"]), (429, "60"))
        self.assertEqual(reply.json, {"error": "too many wrong tokens: expected a pause of 60 s"})
        self.assertEqual(self.client.source.drained, 0)
        self.client.clock.advance(FAILURE_PERIOD - 0.6)
        self.assertEqual(self.try_token(TOKEN), 429)
        self.client.clock.advance(0.1)
        self.assertEqual(self.try_token(TOKEN), 200)

    def test_failures_are_forgotten(self) -> None:
        for _ in range(5):
            for _ in range(MAX_FAILURES - 1):
                self.assertEqual(self.try_token(), 401)
            self.client.clock.advance(FAILURE_PERIOD)
        self.assertEqual(self.try_token(TOKEN), 200)

    def test_asking_whether_a_token_is_needed_is_no_guess(self) -> None:
        for _ in range(MAX_FAILURES + 1):
            self.assertEqual(self.client.post("/api/check", Authorization=None).code, 401)
        self.assertEqual(self.try_token(TOKEN), 200)

    def test_each_client_has_its_own_guesses(self) -> None:
        self.client.peer = IPv6Address("TCP", "2001:db8::1", 7)
        for _ in range(MAX_FAILURES):
            self.try_token()
        self.client.peer = IPv6Address("TCP", "2001:db8::2", 7)  # the same /64
        self.assertEqual(self.try_token(TOKEN), 429)
        for peer in (
            IPv6Address("TCP", "2001:db8:0:1::1", 7),
            IPv4Address("TCP", "192.0.2.7", 7),
            UNIXAddress(None),
        ):
            self.client.peer = peer
            self.assertEqual(self.try_token(TOKEN), 200)

    def test_clients_are_counted_up_to_a_limit(self) -> None:
        def fail(number: int) -> int:
            self.client.peer = IPv4Address("TCP", f"198.18.{number // 256}.{number % 256}", 7)
            return self.try_token()

        for _ in range(MAX_FAILURES):
            fail(0)
        for number in range(1, MAX_CLIENTS):
            fail(number)
        self.assertEqual(fail(0), 429)
        fail(MAX_CLIENTS)
        self.assertEqual(fail(0), 401)  # forgotten

    def test_failures_are_logged_without_the_token(self) -> None:
        seen: list[Any] = []
        observer: Any = seen.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.try_token("guessed-by-somebody")
        [event] = seen
        self.assertEqual(event["peer"], "192.0.2.1:5000")
        self.assertNotIn("guessed-by-somebody", repr(event))


class HostTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = Client(allowed_hosts=("DB1.example.",))

    def code(self, host: str, **headers: str) -> int:
        return self.client.get("/api/stats", Host=host, **headers).code

    def test_names_that_are_ours(self) -> None:
        for host in (
            *("localhost", "LOCALHOST:9100", "localhost.:1", "a.b.localhost", "127.0.0.1:9100"),
            *("[::1]:9100", "192.0.2.1", "[fe80::1%25eth0]", "db1.example:9100", "Db1.Example"),
        ):
            self.assertEqual(self.code(host), 200, host)

    def test_names_that_are_not(self) -> None:
        for host in (
            *("evil.example", "localhost.evil.example", "notlocalhost", "db1.example.evil"),
            *("127.0.0.1.evil.example", "user@localhost", "localhost:x", "localhost/", "::1]"),
            *("127.1", "2130706433", "localhost, localhost", "\xff"),
        ):
            self.assertEqual(self.code(host), 403, host)

    def test_the_page_too(self) -> None:
        self.assertEqual(self.client.get("/", Host="evil.example").code, 403)

    def test_one_host_is_expected(self) -> None:
        for lines in (b"", b"Host: localhost\r\nHost: localhost\r\n"):
            connection = self.client.connect()
            connection.send(b"GET /api/stats HTTP/1.1\r\n" + lines + b"\r\n")
            [reply] = connection.replies()
            self.assertEqual((reply.code, reply.json), (400, {"error": "expected one Host header"}))

    def test_none_in_http_1_0(self) -> None:
        connection = self.client.connect()
        connection.send(b"GET /api/stats HTTP/1.0\r\n\r\n")
        [reply] = connection.replies()
        self.assertEqual(reply.code, 200)

    def test_origins_that_are_ours(self) -> None:
        for host, origin in (
            ("localhost:9100", "http://localhost:9100"),
            ("LOCALHOST:9100", "http://localhost:9100"),
            ("[::1]:9100", "https://[::1]:9100"),
        ):
            self.assertEqual(self.client.post("/api/check", Host=host, Origin=origin).code, 200)

    def test_origins_that_are_not(self) -> None:
        for origin in (
            *("http://evil.example", "null", "http://localhost", "http://localhost:9101"),
            *("http://127.0.0.1:9100", "http://localhost:9100.evil.example"),
        ):
            reply = self.client.post("/api/drain", Host="localhost:9100", Origin=origin)
            self.assertEqual(reply.code, 403, origin)
            self.assertIn("is another site", reply.json["error"])
        self.assertEqual(self.client.source.drained, 0)


class ExposureTests(SynchronousTestCase):
    def test_open_to_others(self) -> None:
        for endpoint in (
            *("tcp:9100", "tcp:9100:interface=0.0.0.0", "tcp:9100:interface=192.0.2.1"),
            *("tcp6:9100", "tcp6:9100:interface=\\:\\:", "dualstack:9100"),
            "tcp:9100:interface=db1.example",
        ):
            warning = exposure_warning(endpoint)
            assert warning is not None, endpoint
            self.assertIn(f"admin on {endpoint} is open to other machines", warning)

    def test_safe(self) -> None:
        for endpoint in (
            *("tcp:9100:interface=127.0.0.1", "tcp:9100:interface=127.0.0.1:backlog=5"),
            *("tcp:9100:interface=localhost", "tcp6:9100:interface=\\:\\:1"),
            *("unix:/run/admin.sock", "ssl:9100:privateKey=/k.pem", "tls:/certs:tcp:9100"),
        ):
            self.assertIsNone(exposure_warning(endpoint), endpoint)
