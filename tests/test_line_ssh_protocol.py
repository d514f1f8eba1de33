"""SSH for line applications, packet by packet."""

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.conch.ssh.common import NS, getNS
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import LineApp
from netsuite.line._ssh_channel import LINGER_SECONDS
from netsuite.line._ssh_transport import _MOST_HELD
from netsuite.line.auth import Delay
from netsuite.line.ssh import ssh_factory
from netsuite.line.test._front_app import FrontApp
from tests import ssh_peer as ssh
from tests.ssh_peer import ALICE, MALLORY, Exchange

pytestmark = pytest.mark.once


class ComingInTests(SynchronousTestCase):
    def test_a_key_that_is_authorized(self) -> None:
        exchange = Exchange()
        exchange.secure()
        self.assertEqual(exchange.show_key("alice", ALICE), [ssh.USERAUTH_PK_OK])
        self.assertEqual(exchange.sign("alice", ALICE), [ssh.USERAUTH_SUCCESS])

    def test_another_key(self) -> None:
        exchange = Exchange()
        exchange.secure()
        self.assertEqual(exchange.show_key("alice", MALLORY), [ssh.USERAUTH_FAILURE])
        self.assertEqual(exchange.sign("alice", MALLORY), [ssh.USERAUTH_FAILURE])

    def test_a_key_of_somebody_else(self) -> None:
        exchange = Exchange(keys_of={"alice": [ALICE], "bob": [MALLORY]})
        exchange.secure()
        self.assertEqual(exchange.sign("bob", ALICE), [ssh.USERAUTH_FAILURE])
        self.assertEqual(exchange.sign("bob", MALLORY), [ssh.USERAUTH_SUCCESS])

    def test_a_signature_of_something_else(self) -> None:
        exchange = Exchange()
        exchange.secure()
        exchange.peer.sessionID, ours = b"x" * 32, exchange.peer.sessionID
        self.assertEqual(exchange.sign("alice", ALICE), [ssh.USERAUTH_FAILURE])
        exchange.peer.sessionID = ours
        self.assertEqual(exchange.sign("alice", ALICE), [ssh.USERAUTH_SUCCESS])

    def test_signatures_of_the_past(self) -> None:
        key = ssh.RSA
        exchange = Exchange(keys_of={"alice": [key]})
        exchange.secure()
        self.assertEqual(exchange.sign("alice", key, b"ssh-rsa"), [ssh.USERAUTH_FAILURE])
        self.assertEqual(exchange.sign("alice", key, b"rsa-sha2-256"), [ssh.USERAUTH_SUCCESS])

    def test_a_password(self) -> None:
        passwords = InMemoryUsernamePasswordDatabaseDontUse(bob=b"right")
        exchange = Exchange(checkers=[passwords])
        exchange.secure()
        self.assertEqual(exchange.try_password("bob", b"wrong"), [])  # guessing takes time
        exchange.clock.advance(0.5)
        self.assertEqual([number for number, _ in exchange.take()], [ssh.USERAUTH_FAILURE])
        self.assertEqual(exchange.try_password("bob", b"right"), [])  # and more, each time
        exchange.clock.advance(0.5)
        self.assertEqual([number for number, _ in exchange.take()], [ssh.USERAUTH_SUCCESS])
        another = exchange.another()
        another.secure()
        self.assertEqual(another.try_password("bob", b"right"), [])
        another.clock.advance(0.5)
        self.assertEqual([number for number, _ in another.take()], [ssh.USERAUTH_SUCCESS])

    def test_no_password_where_nobody_has_one(self) -> None:
        exchange = Exchange()
        exchange.secure()
        exchange.send(
            ssh.USERAUTH_REQUEST,
            NS(b"alice") + NS(b"ssh-connection") + NS(b"password") + b"\0" + NS(b"x"),
        )
        ((number, payload),) = exchange.take()
        self.assertEqual((number, getNS(payload)[0]), (ssh.USERAUTH_FAILURE, b"publickey"))

    def test_nobody_comes_in_by_nothing(self) -> None:
        exchange = Exchange()
        exchange.secure()
        self.assertEqual(exchange.ask_to_come_in("alice", b"none", b""), [ssh.USERAUTH_FAILURE])
        self.assertEqual(exchange.ask_to_come_in("", b"none", b""), [ssh.USERAUTH_FAILURE])
        self.assertEqual(exchange.ask_to_come_in("x" * 257, b"none", b""), [ssh.USERAUTH_FAILURE])

    def test_another_service(self) -> None:
        exchange = Exchange()
        exchange.secure()
        exchange.send(ssh.USERAUTH_REQUEST, NS(b"alice") + NS(b"other") + NS(b"none"))
        self.assertEqual([number for number, _ in exchange.take()], [ssh.USERAUTH_FAILURE])

    def test_who_has_come_in(self) -> None:
        exchange = Exchange(roles={"alice": ["admin", "math"]})
        exchange.come_in()
        self.assertEqual(exchange.command(b"who"), (b"alice admin,math True\n", 0))
        self.assertEqual(exchange.command(b"reset"), (b"OK\n", 0))

    def test_roles_of_a_function(self) -> None:
        exchange = Exchange(roles=lambda user: [f"role of {user}"])
        exchange.come_in()
        self.assertEqual(exchange.command(b"who"), (b"alice role of alice True\n", 0))

    def test_nobody_has_roles_by_himself(self) -> None:
        exchange = Exchange()
        exchange.come_in()
        self.assertEqual(exchange.command(b"reset")[1], 1)

    def test_a_program_hears_of_a_session_that_has_logged_in(self) -> None:
        users: list[str | None] = []
        app = FrontApp()
        app.on_connect.append(lambda session: users.append(session.user))
        exchange = Exchange(app)
        exchange.come_in()
        exchange.shell()
        self.assertEqual(users, ["alice"])

    def test_signatures_that_we_take_are_announced(self) -> None:
        exchange = Exchange()
        exchange.run()
        ((number, payload),) = exchange.take()
        self.assertEqual(number, ssh.EXT_INFO)
        name, algorithms, _ = getNS(payload[4:], 2)
        self.assertEqual(name, b"server-sig-algs")
        self.assertIn(b"rsa-sha2-512", algorithms)
        self.assertNotIn(b"ssh-rsa,", algorithms + b",")


class BoundsOfComingInTests(SynchronousTestCase):
    def test_so_many_attempts(self) -> None:
        exchange = Exchange(attempts=3)
        exchange.secure()
        for _ in range(2):
            self.assertEqual(exchange.sign("alice", MALLORY), [ssh.USERAUTH_FAILURE])
        self.assertIsNone(exchange.peer.goodbye)
        self.assertEqual(exchange.sign("alice", MALLORY), [])
        self.assertEqual(exchange.peer.goodbye, b"too many bad auths")
        self.assertTrue(exchange.to_peer.disconnecting)

    def test_so_many_requests(self) -> None:
        exchange = Exchange(attempts=2)
        exchange.secure()
        for _ in range(8):
            self.assertEqual(exchange.ask_to_come_in("alice", b"none", b""), [51])
        self.assertEqual(exchange.ask_to_come_in("alice", b"none", b""), [])
        self.assertEqual(exchange.peer.goodbye, b"too many requests")

    def test_one_request_after_the_other(self) -> None:
        passwords = InMemoryUsernamePasswordDatabaseDontUse(bob=b"right")
        exchange = Exchange(checkers=[passwords])
        exchange.secure()
        for password in (b"wrong", b"right", b"wrong"):
            data = NS(b"password") + b"\0" + NS(password)
            exchange.send(ssh.USERAUTH_REQUEST, NS(b"bob") + NS(b"ssh-connection") + data)
        self.assertEqual(exchange.take(), [])
        for number in (ssh.USERAUTH_FAILURE, ssh.USERAUTH_SUCCESS):
            exchange.clock.advance(0.5)
            self.assertEqual([number for number, _ in exchange.take()], [number])
        exchange.clock.advance(10)
        self.assertEqual(exchange.take(), [])

    def test_those_who_fail_wait_longer_each_time_on_any_connection(self) -> None:
        passwords = InMemoryUsernamePasswordDatabaseDontUse(bob=b"right")
        exchange = Exchange(checkers=[passwords], delay=Delay(first=1, most=4))
        for user, wait in (("bob", 0), ("bob", 1), ("ann", 2), ("bob", 4), ("eve", 4)):
            exchange = exchange.another()
            exchange.secure()
            self.assertEqual(exchange.try_password(user, b"wrong"), [])
            exchange.clock.advance(wait)  # and then it is checked
            self.assertEqual(exchange.take(), [])
            exchange.clock.advance(0.9)
            self.assertEqual(exchange.take(), [])
            exchange.clock.advance(0.2)
            self.assertEqual([number for number, _ in exchange.take()], [ssh.USERAUTH_FAILURE])

    def test_so_many_at_a_time(self) -> None:
        passwords = InMemoryUsernamePasswordDatabaseDontUse(bob=b"right")
        exchange = Exchange(checkers=[passwords], delay=Delay(waiting=2))
        peers = [exchange, exchange.another(), exchange.another()]
        for peer in peers:
            peer.secure()
        answers = [peer.try_password("bob", b"wrong") for peer in peers]
        self.assertEqual(answers, [[], [], [ssh.USERAUTH_FAILURE]])
        for peer in peers:
            peer.server.connectionLost(Failure(ConnectionDone()))
        last = exchange.another()
        last.secure()
        self.assertEqual(last.try_password("bob", b"wrong"), [])

    def test_the_service_is_there_once(self) -> None:
        exchange = Exchange()
        exchange.secure()
        exchange.send(ssh.SERVICE_REQUEST, NS(b"ssh-userauth"))
        exchange.run()
        self.assertEqual(exchange.peer.goodbye, b"don't have service ssh-userauth")

    def test_so_much_time(self) -> None:
        for far in (lambda _: None, Exchange.run, Exchange.secure):
            exchange = Exchange(login_time=20.0)
            far(exchange)
            exchange.clock.advance(19.9)
            self.assertFalse(exchange.to_peer.disconnecting)
            exchange.clock.advance(0.2)
            self.assertTrue(exchange.to_peer.disconnecting)
            exchange.clock.advance(LINGER_SECONDS)
            self.assertTrue(exchange.to_peer.aborted)

    def test_the_time_of_who_has_come_in_is_his(self) -> None:
        exchange = Exchange(login_time=20.0)
        exchange.come_in()
        channel = exchange.shell()
        exchange.clock.advance(100)
        self.assertEqual(exchange.say(channel, b"add 1 2\n"), b"3\r\n")

    def test_nothing_of_it_goes_on_when_the_connection_is_lost(self) -> None:
        passwords = InMemoryUsernamePasswordDatabaseDontUse(bob=b"right")
        exchange = Exchange(checkers=[passwords])
        exchange.secure()
        exchange.try_password("bob", b"wrong")
        exchange.server.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(exchange.clock.getDelayedCalls(), [])
        self.assertEqual(exchange.factory.counters.active, 0)

    def test_configuration(self) -> None:
        given: dict[str, Any] = {"host_keys": [ssh.HOST_KEY], "authorized_keys": {}}
        app = LineApp("x")
        wrongs: list[dict[str, Any]] = [
            {"attempts": 0},
            {"channels": 0},
            {"login_time": 0.0},
            {"host_keys": []},
        ]
        for wrong in wrongs:
            self.assertRaises(ValueError, ssh_factory, app, None, **{**given, **wrong})
        self.assertRaises(ValueError, ssh_factory, app, None, host_keys=[ssh.HOST_KEY])
        twice = [InMemoryUsernamePasswordDatabaseDontUse() for _ in range(2)]
        self.assertRaises(ValueError, ssh_factory, app, None, **given, checkers=twice)


class TransportTests(SynchronousTestCase):
    def test_algorithms_of_today(self) -> None:
        exchange = Exchange()
        exchange.run()
        offered = getNS(exchange.server.ourKexInitPayload[17:], 10)[:-1]
        flat = b",".join(offered)
        for past in (b"sha1", b"cbc", b"3des", b"md5", b"zlib", b"ssh-rsa", b"ssh-dss", b"group14"):
            self.assertNotIn(past, flat)
        self.assertIn(b"curve25519-sha256", flat)

    def test_rsa_host_keys_sign_with_sha_2(self) -> None:
        exchange = Exchange(host_keys=[ssh.RSA])
        self.assertEqual(exchange.factory.algorithms, (b"rsa-sha2-512", b"rsa-sha2-256"))
        exchange.secure()

    def test_no_service_before_there_are_keys(self) -> None:
        exchange = Exchange()
        packet = _plain_packet(bytes([ssh.SERVICE_REQUEST]) + NS(b"ssh-userauth"))
        exchange.server.dataReceived(b"SSH-2.0-x\r\n" + packet)
        self.assertIsNone(exchange.server.service)
        self.assertTrue(exchange.to_peer.disconnecting)

    def test_nothing_but_keys_while_keys_are_exchanged(self) -> None:
        exchange = Exchange()
        exchange.come_in()
        channel = exchange.shell()
        exchange.peer.sendKexInit()
        exchange.peer._keyExchangeState = exchange.peer._KEY_EXCHANGE_NONE
        exchange.say(channel, b"add 1 2\n")
        self.assertEqual(exchange.peer.goodbye, b"packet out of turn")

    def test_new_keys(self) -> None:
        exchange = Exchange()
        exchange.come_in()
        channel = exchange.shell()
        for _ in range(2):
            exchange.peer.sendKexInit()
            exchange.run()
            self.assertEqual(exchange.say(channel, b"add 1 2\n"), b"3\r\n")

    def test_a_version_without_end(self) -> None:
        exchange = Exchange()
        exchange.server.dataReceived(b"x" * 5000)
        self.assertTrue(exchange.to_peer.disconnecting)
        exchange.server.dataReceived(b"x" * 5000)
        self.assertLessEqual(len(exchange.server.buf), 5000)

    def test_a_packet_that_is_too_long(self) -> None:
        exchange = Exchange()
        exchange.run()
        head = b"SSH-2.0-x\r\n" + struct.pack(">L", 1_000_000)
        fresh = Exchange().server
        fresh.dataReceived(head)
        for _ in range(_MOST_HELD // 65536):
            fresh.dataReceived(b"x" * 65536)
        self.assertTrue(fresh.is_over)
        self.assertEqual(fresh.buf, b"")

    def test_a_packet_that_is_none(self) -> None:
        for packet in (bytes([ssh.CHANNEL_DATA]), bytes([ssh.CHANNEL_OPEN, 0]), bytes([80])):
            exchange = Exchange()
            exchange.come_in()
            exchange.send(packet[0], packet[1:])
            exchange.run()
            self.assertEqual(exchange.peer.goodbye, b"broken packet")

    def test_data_for_a_channel_that_there_is_not(self) -> None:
        exchange = Exchange()
        exchange.come_in()
        exchange.say(99, b"x")
        self.assertEqual(exchange.peer.goodbye, b"broken packet")

    def test_unknown_packets_are_not_implemented(self) -> None:
        exchange = Exchange()
        exchange.come_in()
        channel = exchange.shell()
        exchange.send(150, b"x")
        exchange.run()
        self.assertEqual(exchange.say(channel, b"add 1 2\n"), b"3\r\n")

    def test_nothing_is_forwarded(self) -> None:
        exchange = Exchange()
        exchange.come_in()
        forward = NS(b"tcpip-forward") + b"\1" + NS(b"") + struct.pack(">L", 0)
        exchange.send(ssh.GLOBAL_REQUEST, forward)
        self.assertEqual([number for number, _ in exchange.take()], [ssh.REQUEST_FAILURE])
        self.assertIsNone(exchange.open(kind=b"direct-tcpip"))
        self.assertIsNone(exchange.open(kind=b"x11"))

    def test_the_peer_says_goodbye(self) -> None:
        exchange = Exchange()
        exchange.come_in()
        exchange.peer.sendDisconnect(11, b"bye")
        exchange.run()
        self.assertTrue(exchange.to_peer.disconnecting)

    @settings(max_examples=50)
    @given(
        st.lists(st.tuples(st.integers(1, 110), st.binary(max_size=40)), max_size=5),
        st.booleans(),
        st.binary(max_size=100),
    )
    def test_no_packets_break_it(
        self, packets: list[tuple[int, bytes]], came_in: bool, rest: bytes
    ) -> None:
        exchange = Exchange()
        if came_in:
            exchange.come_in()
            exchange.shell()
        else:
            exchange.secure()
        for number, payload in packets:
            if number not in range(20, 50):
                exchange.send(number, payload)
        exchange.run()
        if not exchange.to_peer.disconnecting:
            exchange.server.dataReceived(rest)
        exchange.server.connectionLost(Failure(ConnectionDone()))
        exchange.clock.advance(2)
        self.assertEqual(exchange.clock.getDelayedCalls(), [])
        self.assertEqual(exchange.factory.counters.active, 0)
        self.assertEqual(exchange.factory.sessions.counters.active, 0)


def _plain_packet(payload: bytes) -> bytes:
    padding = 8 - (len(payload) + 5) % 8 + 8
    return struct.pack(">LB", len(payload) + padding + 1, padding) + payload + b"\0" * padding
