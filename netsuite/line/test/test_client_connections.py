import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol

from netsuite.line import CommandError, LineApp, Session
from netsuite.line._client_connector import retry_delay
from netsuite.line.client import (
    LineClient,
    LineClosedError,
    LineConnectionError,
    LineError,
    LineLoginError,
    LineTimeoutError,
    LineWireError,
)
from netsuite.line.test.memory import settle
from netsuite.line.test.test_client import ClientCase, ScriptCase


class ReconnectionTests(ClientCase):
    def test_a_connection_that_goes_away_is_made_again(self) -> None:
        client = self.client()
        self.assertEqual(self.result(client.call("ADD", 1, 2)), "3")
        self.lose()
        self.assertFalse(client.is_connected)
        call = client.call("ADD", 2, 2)
        self.pending(call)
        self.clock.advance(1)
        self.assertEqual(self.result(call), "4")
        self.assertEqual(self.endpoint.tries, 2)

    def test_a_call_that_was_sent_is_never_repeated(self) -> None:
        client = self.client()
        self.result(client.connect())
        sent = client.call("HOLD", "x")
        settle(self.clock)
        self.lose()
        later = client.call("ADD", 1, 2)
        self.failure(sent, LineConnectionError)
        self.clock.advance(1)
        self.assertEqual(self.result(later), "3")
        self.assertEqual((len(self.held), self.ran), (1, ["1+2"]))

    def test_calls_that_were_not_sent_go_out_on_the_next_connection(self) -> None:
        client = self.client(max_in_flight=1)
        self.result(client.connect())
        calls = [client.call("HOLD", "x"), *(client.call("ADD", each, 0) for each in range(3))]
        settle(self.clock)
        self.lose()
        self.failure(calls[0], LineConnectionError)
        self.clock.advance(1)
        self.assertEqual([self.result(each) for each in calls[1:]], ["0", "1", "2"])

    def test_delays_grow_until_a_connection_is_ready(self) -> None:
        self.endpoint.refusals = 3
        client = self.client(timeout=None)
        call = client.call("ADD", 1, 2)
        for delay, tries in ((1, 2), (2, 3), (3, 4)):
            settle(self.clock)
            self.clock.advance(delay - 0.5)
            self.assertEqual(self.endpoint.tries, tries - 1)
            self.clock.advance(0.5)
            self.assertEqual(self.endpoint.tries, tries)
        self.assertEqual(self.result(call), "3")
        self.lose()
        self.clock.advance(1)
        self.assertEqual(self.endpoint.tries, 5, "it begins again")

    def test_delays_grow_where_connections_are_made_and_refused(self) -> None:
        asked: list[int] = []

        def retry(failures: int) -> float:
            asked.append(failures)
            return 1.0

        class Refusing(Protocol):
            said = b""

            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(self.said)
                self.transport.loseConnection()

        for said in (b"", b"ERR not-allowed client connections\r\n"):
            asked.clear()
            Refusing.said = said
            self.endpoint.build = Refusing
            client = self.client(retry=retry)
            client.connect().addErrback(lambda _: None)
            settle(self.clock)
            for _ in range(4):
                self.clock.advance(1)
                settle(self.clock)
            self.assertEqual(asked, [1, 2, 3, 4, 5])
            self.endpoint.build = self.build
            self.clock.advance(1)
            self.assertEqual(self.result(client.call("ADD", 1, 2)), "3")
            client.drop()
            settle(self.clock)
            self.assertEqual(asked[-1], 1)
            self.result(client.close())

    def test_delays_by_themselves(self) -> None:
        for failures, usual in ((1, 0.2), (2, 0.4), (8, 25.6), (9, 30.0), (10_000, 30.0)):
            delays = [retry_delay(failures) for _ in range(100)]
            self.assertGreaterEqual(min(delays), 0.8 * usual)
            self.assertLessEqual(max(delays), 1.2 * usual)
            self.assertGreater(max(delays), min(delays))

    def test_a_program_that_fails_to_say_when(self) -> None:
        for retry, wrong in (
            (lambda _: 1 / 0, ZeroDivisionError),
            (lambda _: None, TypeError),
            (lambda _: -1.0, ValueError),
            (lambda _: float("nan"), ValueError),
            (lambda _: float("inf"), ValueError),
        ):
            client = self.client(retry=retry)
            self.result(client.connect())
            client.drop()
            settle(self.clock)
            self.assertEqual(len(self.flushLoggedErrors(wrong)), 1)
            self.clock.advance(0.3)
            self.assertEqual(self.result(client.call("ADD", 1, 2)), "3")

    def test_a_connection_is_dropped(self) -> None:
        client = self.client()
        client.drop()
        self.assertEqual(self.endpoint.tries, 0)
        self.result(client.connect())
        call = client.call("HOLD", "x")
        settle(self.clock)
        client.drop()
        self.failure(call, LineConnectionError)
        self.clock.advance(1)
        self.assertEqual(self.result(client.call("ADD", 1, 2)), "3")

    def test_the_next_call_waits_for_the_next_connection(self) -> None:
        client = self.client(timeout=30)
        self.result(client.connect())
        ready: list[bool] = []

        async def one_after_the_other() -> str:
            try:
                await client.call("HOLD", "x", timeout=1)
            except LineTimeoutError:
                ready.append(client.is_connected)
                await client.connect(None)
                return await client.call("ADD", 1, 2)
            raise AssertionError("there was a reply")

        first = Deferred.fromCoroutine(one_after_the_other())
        second = client.call("HOLD", "y").addErrback(lambda _: client.call("ADD", 2, 2))
        settle(self.clock)
        self.clock.advance(1)
        self.assertEqual(ready, [False])
        self.pending(first)
        self.clock.advance(1)
        self.assertEqual((self.result(first), self.result(second)), ("3", "4"))
        self.assertEqual(self.endpoint.tries, 2)

    def test_time_is_up_without_a_connection(self) -> None:
        self.endpoint.refusals = 100
        call = self.client(timeout=5).call("ADD", 1, 2)
        self.clock.pump([1] * 5)
        error = self.failure(call, LineTimeoutError)
        self.assertEqual(str(error), "ADD: not sent within 5 seconds: cannot connect: refused")

    def test_what_is_told(self) -> None:
        told: list[str] = []
        self.endpoint.refusals = 1
        client = self.client(
            on_connect=lambda: told.append("connected"), on_lost=lambda why: told.append(str(why))
        )
        client.connect(attempts=None)
        settle(self.clock)
        self.clock.advance(1)
        settle(self.clock)
        self.lose()
        lost = (
            "the connection was lost: Connection to the other side was lost in a non-clean fashion"
        )
        self.assertEqual(told[:2], ["cannot connect: refused", "connected"])
        self.assertTrue(told[2].startswith(lost), told[2])


class ConnectTests(ClientCase):
    def test_connect_fails_with_the_first_try(self) -> None:
        self.endpoint.refusals = 2
        client = self.client()
        error = self.failure(client.connect(), LineConnectionError)
        self.assertEqual(str(error), "cannot connect: refused")
        self.assertIsInstance(error.__cause__, OSError)
        second = client.connect(attempts=2)
        self.clock.advance(1)
        self.pending(second)
        self.clock.advance(2)
        self.result(second)

    def test_connect_fails_with_so_many_tries(self) -> None:
        self.endpoint.refusals = 2
        connecting = self.client().connect(attempts=2)
        self.pending(connecting)
        self.clock.advance(1)
        self.failure(connecting, LineConnectionError)

    def test_nobody_waits_any_more(self) -> None:
        self.endpoint.refusals = 1
        client = self.client()
        first, second = client.connect(attempts=None), client.connect(attempts=None)
        first.cancel()
        self.failure(first, CancelledError)
        self.clock.advance(1)
        self.result(second)

    def test_the_block_of_a_client_that_cannot_connect(self) -> None:
        self.endpoint.refusals = 1

        async def main() -> None:
            async with self.client():
                raise AssertionError

        self.failure(main(), LineConnectionError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_connection_for_once(self) -> None:
        client = self.client(reconnect=False)
        self.assertEqual(self.result(client.call("ADD", 1, 2)), "3")
        self.lose()
        error = self.failure(client.call("ADD", 1, 2), LineConnectionError)
        self.assertIn("the connection was lost", str(error))
        self.assertEqual(self.endpoint.tries, 1)
        self.result(client.connect())
        self.assertEqual(self.result(client.call("ADD", 1, 2)), "3")

    def test_a_connection_for_once_that_cannot_be(self) -> None:
        self.endpoint.refusals = 1
        client = self.client(reconnect=False)
        call, connecting = client.call("ADD", 1, 2), client.connect(attempts=None)
        self.failure(call, LineConnectionError)
        self.failure(connecting, LineConnectionError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_an_endpoint_that_fails_at_once(self) -> None:
        self.endpoint.refusals, self.endpoint.at_once = 3, True
        client = self.client(reconnect=False)
        self.failure(client.connect(), LineConnectionError)
        self.failure(client.call("ADD", 1, 2), LineConnectionError)
        self.failure(self.client().connect(), LineConnectionError)
        self.failure(self.client(reconnect=False).call("ADD", 1, 2), LineConnectionError)

    def test_a_program_that_connects_again_by_itself(self) -> None:
        again: list[Deferred[None]] = []

        def lost(_: Exception) -> None:
            again.append(client.connect())

        client: LineClient = self.client(reconnect=False, on_lost=lost)
        self.result(client.connect())
        self.lose()
        self.result(again[0])
        self.assertEqual(self.result(client.call("ADD", 1, 2)), "3")
        self.assertEqual(self.endpoint.tries, 2)
        client.close()

    def test_close(self) -> None:
        client = self.client(max_in_flight=1)
        self.result(client.connect())
        sent, waiting = client.call("HOLD", "x"), client.call("ADD", 1, 2)
        settle(self.clock)
        closed = client.close()
        for each in (sent, waiting, client.call("ADD", 1, 2)):
            self.failure(each, LineClosedError)
        self.result(closed)

    def test_a_client_that_was_never_used_closes(self) -> None:
        client = self.client()
        self.result(client.close())
        self.failure(client.call("ADD", 1, 2), LineClosedError)
        self.failure(client.subscribe("a"), LineClosedError)

    def test_close_while_it_connects(self) -> None:
        client = self.client()
        connecting = client.connect()
        closed = client.close()
        self.failure(connecting, LineClosedError)
        self.result(closed)

    def test_close_while_it_waits(self) -> None:
        self.endpoint.refusals = 1
        client = self.client()
        self.failure(client.connect(), LineConnectionError)
        self.result(client.close())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_was_sent_goes_out_before_the_end(self) -> None:
        client = self.client()
        self.result(client.connect())
        client.call("ADD", 1, 2).addErrback(lambda _: None)
        self.result(client.close())
        self.assertEqual(self.ran, ["1+2"])

    def test_a_server_that_does_not_let_go(self) -> None:
        client = self.client()
        self.result(client.connect())
        self.endpoint.connections[0].pauseProducing()
        client.call("ADD", 1, 2).addErrback(lambda _: None)
        closed = client.close()
        self.pending(closed)
        self.clock.advance(5)
        self.result(closed)

    def test_closing_as_soon_as_it_is_connected(self) -> None:
        async def at_once() -> None:
            async with self.client():
                pass

        async def with_an_error() -> None:
            async with self.client():
                raise ZeroDivisionError

        self.result(at_once())
        self.failure(with_an_error(), ZeroDivisionError)
        client = self.client()
        self.result(client.connect().addCallback(lambda _: client.close()))
        closed: list[Deferred[None]] = []
        other: LineClient = self.client(on_connect=lambda: closed.append(other.close()))
        self.failure(other.connect(), LineClosedError)
        self.result(closed[0])
        self.assertEqual([each.connected for each in self.endpoint.connections], [False] * 4)

    def test_closing_and_connecting_without_waiting(self) -> None:
        for reconnect in (True, False):
            client = self.client(reconnect=reconnect)
            self.result(client.connect())
            closed = client.close()
            self.result(client.connect())
            self.result(closed)
            self.assertEqual(self.result(client.call("ADD", 1, 2)), "3")

    def test_connecting_again_on_hearing_of_the_end(self) -> None:
        again: list[Deferred[None]] = []

        async def told(client: LineClient, wanted: Deferred[Any]) -> None:
            with contextlib.suppress(LineClosedError):
                await wanted
                raise AssertionError
            again.append(client.connect())

        for what in ("sent", "waiting", "connecting"):
            client = self.client(max_in_flight=1)
            if what == "sent":
                self.result(client.connect())
            if what == "waiting":
                self.result(client.connect())
                client.call("HOLD", "x").addErrback(lambda _: None)
            wanted = client.connect() if what == "connecting" else client.call("HOLD", "y")
            telling = Deferred.fromCoroutine(told(client, wanted))
            self.result(client.close())
            self.result(telling)
            self.clock.advance(5)
            self.result(again.pop())
            self.assertEqual(self.result(client.call("ADD", 1, 2)), "3")
            self.assertEqual(sum(each.connected for each in self.endpoint.connections), 1)
            self.result(client.close())
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_connecting_again_on_hearing_of_the_beginning(self) -> None:
        again: list[Deferred[None]] = []
        ready: list[bool] = []

        def connected() -> None:
            if not again:
                client.close()
                again.append(client.connect().addCallback(lambda _: look()))

        def look() -> None:
            ready.append(client.is_connected)

        client: LineClient = self.client(on_connect=connected)
        self.failure(client.connect(), LineClosedError)
        self.result(again[0])
        self.assertEqual(ready, [True])

    def test_one_who_waits_gives_up_for_another(self) -> None:
        async def giving_up(first: Deferred[None], second: Deferred[None]) -> None:
            with contextlib.suppress(LineClosedError):
                await first
            second.cancel()

        for closes in (False, True):
            client = self.client()
            first, second = client.connect(), client.connect()
            gave_up = Deferred.fromCoroutine(giving_up(first, second))
            if closes:
                self.result(client.close())
            self.result(gave_up)
            self.failure(second, CancelledError)
            self.assertEqual(self.flushLoggedErrors(), [])

    def test_starting_what_runs(self) -> None:
        client = self.client()
        call = client.call("ADD", 1, 2)
        top = MultiService()
        client.setServiceParent(top)
        top.startService()
        self.assertEqual(self.result(call), "3")
        self.assertEqual(len(self.endpoint.connections), 1)
        self.result(top.stopService())
        self.assertFalse(self.endpoint.connections[0].connected)

    def test_callbacks_that_nobody_would_await(self) -> None:
        async def callback(*_: object) -> None:
            raise NotImplementedError

        async def generator(*_: object) -> AsyncIterator[None]:
            yield

        class Called:
            async def __call__(self, *_: object) -> None:
                raise NotImplementedError

        for name in ("on_push", "on_connect", "on_lost"):
            error = self.assertRaises(TypeError, self.client, **{name: callback})
            self.assertIn(f"{name}: expected a function", str(error))
        for each in (callback, partial(callback), generator, Called(), Called().__call__):
            error = self.assertRaises(TypeError, self.client().subscribe, "a", each)
            self.assertIn("async for has the messages", str(error))

    def test_as_a_service(self) -> None:
        client = self.client()
        client.startService()
        settle(self.clock)
        self.assertTrue(client.is_connected)
        self.result(client.stopService())
        client.startService()
        self.assertEqual(self.result(client.call("ADD", 1, 2)), "3")

    def test_options_that_cannot_be(self) -> None:
        for options in (
            {"user": "a"},
            {"password": "a"},
            {"token": "a", "user": "b", "password": "c"},
            {"max_in_flight": 0},
            {"line_length": 0},
            {"longest": 0},
            {"keepalive": 0},
        ):
            self.assertRaises(
                ValueError,
                LineClient,
                self.endpoint,
                reactor=self.clock,
                **options,
            )


class LoginTests(ClientCase):
    def make_app(self) -> LineApp:
        app = LineApp("test")
        self.logins: list[str] = []
        self.code = ""

        @app.command(open=True, secret=True)
        def auth(session: Session, how: str, *words: str) -> None:
            self.logins.append(" ".join([how, *words]))
            if self.code:
                raise CommandError(self.code, "no")
            session.login("somebody")

        @app.command()
        def whoami(session: Session) -> str:
            return session.user or "nobody"

        app.login_required = True
        return app

    def test_a_token(self) -> None:
        client = self.client(token="secret 1")
        self.assertEqual(self.result(client.call("WHOAMI")), "somebody")
        self.lose()
        self.clock.advance(1)
        self.assertEqual(self.result(client.call("WHOAMI")), "somebody")
        self.assertEqual(self.logins, ["TOKEN secret 1"] * 2)

    def test_a_password(self) -> None:
        client = self.client(user="me", password='a"b')
        self.assertEqual(self.result(client.call("WHOAMI")), "somebody")
        self.assertEqual(self.logins, ['PLAIN me a"b'])

    def test_what_is_refused_is_not_tried_again(self) -> None:
        self.code = "login-failed"
        client = self.client(token="wrong")
        call = client.call("WHOAMI")
        error = self.failure(call, LineLoginError)
        self.assertEqual(str(error), "login-failed no")
        self.failure(client.call("WHOAMI"), LineLoginError)
        self.failure(client.subscribe("a"), LineLoginError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.endpoint.connections[0].connected)
        self.assertEqual(self.logins, ["TOKEN wrong"])

    def test_connect_tells_of_it(self) -> None:
        self.code = "login-failed"
        lost: list[Exception] = []
        client = self.client(token="wrong", on_lost=lost.append)
        self.failure(client.connect(), LineLoginError)
        self.assertEqual(len(lost), 1)

    def test_other_trouble_is_tried_again_with_growing_delays(self) -> None:
        self.code = "failed"
        client = self.client(token="t", timeout=None)
        call = client.call("WHOAMI")
        self.failure(client.connect(), LineError)
        for delay in (1, 2, 3):
            self.clock.advance(delay - 0.5)
            settle(self.clock)
            self.assertEqual(len(self.logins), delay)
            self.clock.advance(0.5)
            settle(self.clock)
            self.assertEqual(len(self.logins), delay + 1)
        self.code = ""
        self.clock.advance(4)
        self.assertEqual(self.result(call), "somebody")

    def test_secrets_go_only_where_nobody_reads_along(self) -> None:
        self.endpoint.host = "192.0.2.1"
        client = self.client(token="t")
        error = self.failure(client.call("WHOAMI"), LineLoginError)
        self.assertEqual(error.code, "not-private")
        self.assertEqual(self.logins, [])
        client = self.client(token="t", insecure_login=True)
        self.assertEqual(self.result(client.call("WHOAMI")), "somebody")

    def test_no_secret_is_shown(self) -> None:
        client = self.client(token="hush", user=None)
        self.assertNotIn("hush", repr(vars(client)))
        self.assertNotIn("hush", repr(vars(client._connector)))


class PreparationTests(ScriptCase):
    def test_a_login_that_is_not_answered(self) -> None:
        client = self.client(token="t", timeout=10, retry=lambda _: 100.0)
        connecting = client.connect()
        settle(self.clock)
        self.assertEqual(self.server.received, b"AUTH TOKEN t\r\n")
        self.clock.advance(10)
        error = self.failure(connecting, LineTimeoutError)
        self.assertEqual(str(error), "the connection was not ready within 10 seconds")

    def test_calls_wait_for_the_login(self) -> None:
        client = self.client(token="t")
        call = client.call("A")
        settle(self.clock)
        self.assertEqual(self.server.received, b"AUTH TOKEN t\r\n")
        self.server.say(b"OK\r\na\r\n"[:4])
        settle(self.clock)
        self.assertEqual(self.server.received, b"AUTH TOKEN t\r\nA\r\n")
        self.server.say(b"a\r\n")
        self.assertEqual(self.result(call), "a")

    def test_a_connection_that_is_lost_before_it_is_ready(self) -> None:
        client = self.client(token="t")
        connecting = client.connect()
        settle(self.clock)
        self.lose()
        self.failure(connecting, LineConnectionError)

    def test_tls_that_the_server_has_not(self) -> None:
        client = self.client(start_tls=object(), token="t")
        connecting = client.connect()
        settle(self.clock)
        self.assertEqual(self.server.received, b"STARTTLS\r\n")
        self.server.say(b'ERR unknown-command "STARTTLS": no\r\n')
        self.failure(connecting, LineError)
        self.assertEqual(self.server.received, b"STARTTLS\r\n", "and nothing else")
        self.assertFalse(self.endpoint.connections[0].connected)

    def test_what_somebody_put_behind_the_answer_is_no_reply(self) -> None:
        client = self.client(start_tls=object())
        connecting = client.connect()
        settle(self.clock)
        self.server.say(b"OK\r\nOK\r\n")
        error = self.failure(connecting, LineWireError)
        self.assertIn("in plain text", str(error))
