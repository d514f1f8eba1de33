import json
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from netsuite.service._stats import ListenerStats
from netsuite.service.admin._history import STATS_TIMEOUT
from netsuite.service.admin._http import AdminRequest
from netsuite.service.admin._site import MAX_BANS
from netsuite.service.test.admin_client import START, TOKEN, Client, Reply, parse


class AdminTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = Client()
        self.source = self.client.source

    def assertRefused(self, reply: Reply, code: int, text: str) -> None:
        self.assertEqual(reply.code, code, reply.text)
        self.assertEqual(reply.headers["Content-Type"], "application/json")
        self.assertEqual(list(reply.json), ["error"])
        self.assertIn(text, reply.json["error"])
        self.assertEqual(reply.text.count("\n"), 1)


class HealthTests(AdminTestCase):
    def test_alive(self) -> None:
        reply = self.client.get("/healthz")
        self.assertEqual((reply.code, reply.text), (200, "ok\n"))

    def test_ready(self) -> None:
        reply = self.client.get("/readyz")
        self.assertEqual((reply.code, reply.text), (200, "ready\n"))

    def test_draining(self) -> None:
        self.source.current.draining = True
        reply = self.client.get("/readyz")
        self.assertEqual((reply.code, reply.text), (503, "draining, or not listening yet\n"))
        self.assertEqual(self.client.get("/healthz").code, 200)

    def test_probes_ask_for_no_statistics(self) -> None:
        self.source.pending = Deferred()
        self.client.get("/healthz")
        self.client.get("/readyz")
        self.assertEqual(self.source.asked, 0)

    def test_probes_may_call_it_anything(self) -> None:
        for path in ("/healthz", "/readyz"):
            self.assertEqual(self.client.get(path, Host="pod-7.cluster.example").code, 200)

    def test_http_1_0(self) -> None:
        connection = self.client.connect()
        connection.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        self.assertTrue(connection.received().endswith(b"\r\n\r\nok\n"))
        self.assertTrue(connection.transport.disconnecting)


class MetricsTests(AdminTestCase):
    def test_metrics(self) -> None:
        self.source.listener.accepted = 7
        reply = self.client.get("/metrics")
        self.assertEqual(reply.code, 200)
        self.assertTrue(reply.headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        found = {family.name: family for family in text_string_to_metric_families(reply.text)}
        [sample] = found["netsuite_connections_accepted"].samples
        self.assertEqual(sample.value, 7)

    def test_openmetrics(self) -> None:
        reply = self.client.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
        self.assertIn("application/openmetrics-text", reply.headers["Content-Type"])
        self.assertTrue(reply.text.endswith("# EOF\n"))

    def test_packed_if_asked_for(self) -> None:
        plain = self.client.get("/metrics")
        for accept in ("gzip", "deflate, GZIP;q=0.5", "gzip ; q=1.0"):
            reply = self.client.get("/metrics", Accept_Encoding=accept)
            self.assertEqual(reply.headers["Content-Encoding"], "gzip")
            self.assertLess(len(reply.body), len(plain.body) / 2)
            self.assertEqual(len(reply.unpacked.splitlines()), len(plain.body.splitlines()))
        for accept in ("identity", "gzip;q=0", "gzip;q=0.000", "br, zstd", "x-gzip"):
            reply = self.client.get("/metrics", Accept_Encoding=accept)
            self.assertNotIn("Content-Encoding", reply.headers)
            self.assertEqual(reply.headers["Vary"], "Accept-Encoding")

    def test_a_short_answer_is_not_packed(self) -> None:
        reply = self.client.get("/healthz", Accept_Encoding="gzip")
        self.assertEqual(reply.text, "ok\n")
        self.assertNotIn("Vary", reply.headers)

    def test_head(self) -> None:
        for path in ("/metrics", "/healthz", "/", "/api/stats"):
            data = self.client.request("HEAD", path).received()
            reply, rest = parse(data, head=True)
            self.assertEqual((reply.code, rest), (200, b""))
            if path != "/metrics":  # whose numbers change: it looks at this process
                length = self.client.get(path).headers["Content-Length"]
                self.assertEqual(reply.headers["Content-Length"], length)

    def test_a_scraper_elsewhere_may_call_it_anything(self) -> None:
        for host in (IPv4Address("TCP", "192.0.2.9", 9100), IPv6Address("TCP", "2001:db8::9", 9)):
            self.client.host = host
            self.assertEqual(self.client.get("/metrics", Host="db1.example:9100").code, 200)
            self.assertEqual(self.client.get("/api/stats", Host="db1.example:9100").code, 403)

    def test_one_on_this_machine_may_not(self) -> None:
        for host in (IPv4Address("TCP", "127.0.0.1", 9100), UNIXAddress("/run/admin.sock")):
            self.client.host = host
            reply = self.client.get("/metrics", Host="db1.example:9100")
            self.assertRefused(reply, 403, "'db1.example:9100' is no name of this service")


class StatsTests(AdminTestCase):
    def test_stats(self) -> None:
        self.source.listener.refused = {"banned": 3}
        self.source.current.durations.observe(0.02)
        reply = self.client.get("/api/stats")
        self.assertEqual((reply.code, reply.headers["Content-Type"]), (200, "application/json"))
        stats = reply.json
        self.assertEqual((stats["now"], stats["ready"], stats["draining"]), (START, True, False))
        self.assertEqual(stats["listeners"][0]["refused"], {"banned": 3})
        self.assertEqual(sum(stats["durations"]["counts"]), 1)
        self.assertEqual((stats["banned"], stats["banned_networks"]), ({}, 0))

    def test_bans_that_end_first_and_no_more(self) -> None:
        self.source.current.banned = {f"192.0.2.{n}/32": 9.0 - n for n in range(5)}
        self.assertEqual(len(self.client.get("/api/stats").json["banned"]), 5)
        many: dict[str, float | None] = {f"::{n}/128": 5000.0 - n for n in range(MAX_BANS)}
        self.source.current.banned = {"192.0.2.0/24": None, **many}
        stats = self.client.get("/api/stats").json
        self.assertEqual(stats["banned"], many)
        self.assertEqual(stats["banned_networks"], MAX_BANS + 1)

    def test_a_service_that_fails_to_tell(self) -> None:
        self.source.pending = fail(RuntimeError("the workers are gone"))
        self.assertRefused(self.client.get("/api/stats"), 503, "the workers are gone")
        self.source.pending = fail(RuntimeError())
        self.assertRefused(self.client.get("/metrics"), 503, "no statistics: RuntimeError")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_a_service_that_does_not_tell(self) -> None:
        self.source.pending = Deferred()
        connection = self.client.request("GET", "/api/stats")
        self.client.clock.advance(STATS_TIMEOUT - 0.1)
        self.assertEqual(connection.received(), b"")
        self.client.clock.advance(0.1)
        [reply] = connection.replies()
        self.assertRefused(reply, 503, "it did not tell within 5 s")

    def test_a_client_that_does_not_wait(self) -> None:
        self.source.pending = Deferred()
        connection = self.client.request("GET", "/api/stats")
        connection.lose()
        self.source.pending.callback(self.source.current)
        self.assertEqual(connection.received(), b"")
        self.assertEqual(self.flushLoggedErrors(CancelledError), [])

    def test_a_bug_is_an_answer_too(self) -> None:
        self.source.current.listeners = [ListenerStats(name="echo", addresses=[object()])]  # type: ignore[list-item]  # the bug
        self.assertRefused(self.client.get("/api/stats"), 500, "a bug: see the log")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_an_answer_that_cannot_be_sent(self) -> None:
        self.patch(AdminRequest, "send", lambda *_: 1 / 0)
        connection = self.client.request("GET", "/healthz")
        self.assertTrue(connection.transport.disconnecting)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class HistoryTests(AdminTestCase):
    def test_history(self) -> None:
        self.client.site.doStart()
        self.addCleanup(self.client.site.doStop)
        self.source.listener.accepted = 4
        self.client.clock.advance(1)
        history = self.client.get("/api/history").json
        self.assertEqual(history["interval"], 1)
        rows = [dict(zip(history["columns"], row, strict=True)) for row in history["samples"]]
        self.assertEqual([row["time"] for row in rows], [START, START + 1])
        self.assertEqual([row["accepted"] for row in rows], [0, 4])

    def test_none_is_taken_while_nobody_listens(self) -> None:
        self.client.site.doStart()
        self.client.site.doStop()
        self.assertEqual(self.client.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.client.get("/api/history").json["samples"]), 1)


class PageTests(AdminTestCase):
    def test_the_page_and_what_it_is_made_of(self) -> None:
        page = self.client.get("/")
        self.assertEqual(page.headers["Content-Type"], "text/html; charset=utf-8")
        for name, content_type in (
            ("dashboard.css", "text/css; charset=utf-8"),
            ("dashboard.js", "text/javascript; charset=utf-8"),
            ("icon.svg", "image/svg+xml"),
        ):
            self.assertIn(f'"/static/{name}"', page.text)
            reply = self.client.get(f"/static/{name}")
            self.assertEqual((reply.code, reply.headers["Content-Type"]), (200, content_type))

    def test_nothing_of_it_is_elsewhere(self) -> None:
        for path in ("/", "/static/dashboard.css", "/static/dashboard.js", "/static/chart.js"):
            text = self.client.get(path).text.replace("http://www.w3.org/2000/svg", "")
            for each in ("http:", "https:", "url(", "innerHTML", "style=", "onclick"):
                self.assertNotIn(each, text, path)

    def test_a_query_changes_nothing(self) -> None:
        self.assertEqual(self.client.get("/?a=b").code, 200)

    def test_headers(self) -> None:
        for path in ("/", "/static/dashboard.js", "/metrics", "/healthz", "/api/stats", "/none"):
            headers = self.client.get(path).headers
            self.assertEqual(headers["Cache-Control"], "no-store")
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            self.assertEqual(headers["X-Frame-Options"], "DENY")
            policy = headers["Content-Security-Policy"]
            self.assertIn("default-src 'none'", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertNotIn("unsafe", policy)
            self.assertNotIn("Server", headers)
            self.assertNotIn("Set-Cookie", headers)


class RoutingTests(AdminTestCase):
    def test_what_is_not_here(self) -> None:
        for path in (
            *(
                "/none",
                "/metrics/",
                "//metrics",
                "/%6detrics",
                "*",
                "/static/",
                "/static/index.html",
            ),
            *("/static/../_token.py", "/static/%2e%2e/_token.py", "http://localhost/metrics"),
        ):
            self.assertRefused(self.client.get(path), 404, "is not here")
        self.assertEqual(self.client.post("/none").code, 404)

    def test_a_long_path_is_cut_short(self) -> None:
        reply = self.client.get("/" + "a" * 3000)
        self.assertEqual(reply.code, 404)
        self.assertLess(len(reply.body), 300)

    def test_methods(self) -> None:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW", "get"):
            [reply] = self.client.request(method, "/metrics").replies()
            self.assertRefused(reply, 405, f"{method} does nothing here: expected GET, HEAD")
            self.assertEqual(reply.headers["Allow"], "GET, HEAD")
        for method in ("GET", "PUT"):
            [reply] = self.client.request(method, "/api/drain").replies()
            self.assertRefused(reply, 405, f"{method} does nothing here: expected POST")
            self.assertEqual(reply.headers["Allow"], "POST")
        self.assertEqual(self.source.drained, 0)

    def test_several_requests_on_one_connection(self) -> None:
        connection = self.client.connect()
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        self.assertEqual([reply.code for reply in connection.replies()], [200] * 3)
        self.assertFalse(connection.transport.disconnecting)

    def test_no_access_log(self) -> None:
        seen: list[Any] = []
        observer: Any = seen.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.client.get("/api/stats")
        self.assertEqual(seen, [])


class ChangeTests(AdminTestCase):
    def logged(self) -> list[Any]:
        seen: list[Any] = []
        observer: Any = seen.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        return seen

    def test_drain(self) -> None:
        seen = self.logged()
        reply = self.client.post("/api/drain")
        self.assertEqual((reply.code, reply.json), (202, {"draining": True}))
        self.assertEqual(self.source.drained, 1)
        self.assertEqual([event["peer"] for event in seen], ["192.0.2.1:5000"])

    def test_check_changes_nothing(self) -> None:
        reply = self.client.post("/api/check")
        self.assertEqual((reply.code, reply.json), (200, {"ok": True}))

    def test_ban(self) -> None:
        seen = self.logged()
        reply = self.client.post("/api/ban", {"network": "192.0.2.0/24", "seconds": 60})
        self.assertEqual((reply.code, reply.json), (200, {"banned": "192.0.2.0/24"}))
        self.client.post("/api/ban", {"network": " 2001:db8::7 ", "seconds": None})
        self.client.post("/api/ban", {"network": "198.51.100.1"})
        self.assertEqual(
            self.source.current.banned,
            {
                "192.0.2.0/24": self.source.now + 60,
                "2001:db8::7/128": None,
                "198.51.100.1/32": None,
            },
        )
        self.assertEqual([event["network"] for event in seen][:2], ["192.0.2.0/24", "2001:db8::7"])
        self.assertEqual(seen[0]["seconds"], "60")

    def test_unban(self) -> None:
        self.source.current.banned = {"192.0.2.0/24": None}
        reply = self.client.post("/api/unban", {"network": "192.0.2.0/24"})
        self.assertEqual((reply.code, reply.json), (200, {"unbanned": "192.0.2.0/24"}))
        self.assertEqual(self.source.current.banned, {})
        reply = self.client.post("/api/unban", {"network": "192.0.2.0/24"})
        self.assertRefused(reply, 404, "'192.0.2.0/24' is not banned")

    def test_what_is_no_network(self) -> None:
        for path in ("/api/ban", "/api/unban"):
            reply = self.client.post(path, {"network": "192.0.2.1/24"})
            self.assertRefused(reply, 400, "192.0.2.")

    def test_bodies_that_are_none(self) -> None:
        for path, body, text in (
            ("/api/ban", b"", "expected a JSON object"),
            ("/api/ban", b"[]", "expected a JSON object"),
            ("/api/ban", b"\xff", "expected a JSON object"),
            ("/api/ban", b"[" * 4096, "expected a JSON object"),
            ("/api/ban", b"{}", "network: expected a text"),
            ("/api/ban", b'{"network":7}', "network: expected a text"),
            ("/api/ban", b'{"network":" "}', "network: expected a text"),
            ("/api/ban", b'{"network":"::1","for":7}', "'for' is unknown"),
            ("/api/unban", b'{"network":"::1","seconds":7}', "'seconds' is unknown"),
            ("/api/unban", b"{}", "network: expected a text"),
            ("/api/drain", b'{"now":true}', "'now' is unknown: expected an empty object"),
            ("/api/check", b'{"now":true}', "'now' is unknown"),
        ):
            self.assertRefused(self.client.post(path, body or b" "), 400, text)
        self.assertEqual((self.source.drained, self.source.current.banned), (0, {}))

    def test_seconds_that_are_none(self) -> None:
        for text in ('"60"', "true", "[]", "0", "-1", "NaN", "Infinity", "1e999"):
            body = f'{{"network":"192.0.2.1","seconds":{text}}}'.encode()
            self.assertRefused(self.client.post("/api/ban", body), 400, "seconds: expected")
        self.assertEqual(self.source.current.banned, {})

    def test_only_json(self) -> None:
        for content_type in (
            *(None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"),
            "application/jsonx",
        ):
            reply = self.client.post("/api/drain", Content_Type=content_type)
            self.assertRefused(reply, 415, "expected Content-Type: application/json")
        reply = self.client.post("/api/check", Content_Type="Application/JSON; charset=utf-8")
        self.assertEqual(reply.code, 200)
        self.assertEqual(self.source.drained, 0)

    def test_only_with_the_token(self) -> None:
        for path in ("/api/drain", "/api/ban", "/api/unban", "/api/check"):
            reply = self.client.post(path, {"network": "::1"}, Authorization=None)
            self.assertRefused(reply, 401, "expected the admin token: Authorization: Bearer TOKEN")
            self.assertEqual(reply.headers["WWW-Authenticate"], 'Bearer realm="netsuite admin"')
            reply = self.client.post(path, {"network": "::1"}, Authorization=f"Bearer {TOKEN}x")
            self.assertRefused(reply, 401, "that is not the admin token")
            self.assertIn("invalid_token", reply.headers["WWW-Authenticate"])
        self.assertEqual((self.source.drained, self.source.current.banned), (0, {}))

    def test_the_token_is_asked_for_before_the_body_is_read(self) -> None:
        reply = self.client.post("/api/ban", b"nonsense", Authorization=None)
        self.assertEqual(reply.code, 401)

    def test_a_bug_of_the_service(self) -> None:
        self.source.drain = lambda: json.loads("no JSON")  # type: ignore[method-assign]
        self.assertRefused(self.client.post("/api/drain"), 500, "a bug: see the log")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
