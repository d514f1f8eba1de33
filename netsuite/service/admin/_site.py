"""The admin site: which path answers what."""

import json
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from http import HTTPStatus
from importlib.resources import files
from math import inf, isfinite
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPFactory

from netsuite.net.endpoints import address_text
from netsuite.service._metrics import exposition
from netsuite.service._stats import ServiceStats
from netsuite.service.admin._history import COLUMNS, INTERVAL, STATS_TIMEOUT, History, StatsReader
from netsuite.service.admin._hosts import HostCheck, over_network
from netsuite.service.admin._http import (
    REQUEST_TIMEOUT,
    AdminChannel,
    AdminRequest,
    Answer,
    Refusal,
    json_answer,
    text_answer,
)
from netsuite.service.admin._source import AdminSource
from netsuite.service.admin._token import TokenGuard

#: Bans that are listed, those that end first; there may be tens of thousands.
MAX_BANS = 200

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

_Get = Callable[[AdminRequest], Awaitable[Answer]]
_Post = Callable[[AdminRequest, dict[str, Any]], Awaitable[Answer]]


def build_admin_site(
    source: AdminSource,
    token: str,
    clock: IReactorTime,
    monotonic: Callable[[], float],
    allowed_hosts: Iterable[str] = (),
    now: Callable[[], float] = time.time,
) -> "AdminSite":
    """The factory that serves metrics, health and the dashboard.

    :param token: what changes need; see :func:`make_token` and :func:`read_token`.
    :param clock: usually the reactor; calls later, whatever its seconds are.
    :param monotonic: a clock that never jumps, such as :func:`time.monotonic`.
    :param allowed_hosts: names that it may be called by, besides addresses and
        ``localhost``: the machine's own, for one.
    :param now: seconds since 1970-01-01 00:00 UTC.
    """
    guard, hosts = TokenGuard(token, monotonic), HostCheck(allowed_hosts)
    return AdminSite(source, guard, clock, hosts, now)


class AdminSite(HTTPFactory):
    """Serves the admin site. It samples the service while it listens."""

    protocol = AdminChannel  # type: ignore[assignment]  # HTTP/1 alone, no negotiation
    noisy = False
    _log = Logger()

    def __init__(
        self,
        source: AdminSource,
        guard: TokenGuard,
        clock: IReactorTime,
        hosts: HostCheck,
        now: Callable[[], float],
    ) -> None:
        super().__init__(timeout=REQUEST_TIMEOUT, reactor=clock)
        self._source = source
        self._guard = guard
        self._hosts = hosts
        self._now = now
        self._reader = StatsReader(source.stats, clock)
        self._history = History(self._reader, clock, now)
        self._files = _read_files()
        self._gets: dict[str, _Get] = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            "/api/stats": self._stats,
            "/api/history": self._get_history,
            **dict.fromkeys(self._files, self._file),
        }
        self._posts: dict[str, _Post] = {
            "/api/check": self._check,
            "/api/drain": self._drain,
            "/api/ban": self._ban,
            "/api/unban": self._unban,
        }

    @property
    def paths(self) -> set[tuple[str, str]]:
        """What can be asked: each path with its method."""
        gets = {(path, "GET") for path in self._gets}
        return gets | {(path, "POST") for path in self._posts}

    def startFactory(self) -> None:
        """Begin to sample."""
        self._history.start()

    def stopFactory(self) -> None:
        """Sample no more."""
        self._history.stop()

    def log(self, request: object) -> None:
        """Write no access log: a page that is open asks once a second."""

    def answer(self, request: AdminRequest) -> None:
        """Answer a request that is here in whole."""
        answering = Deferred.fromCoroutine(self._answer(request))
        request.notifyFinish().addErrback(lambda _: answering.cancel())
        answering.addCallback(request.send)
        answering.addErrback(self._failed, request)

    def _failed(self, failure: Failure, request: AdminRequest) -> None:
        if not failure.check(CancelledError):
            self._log.failure("admin: cannot answer", failure=failure)
            request.channel.loseConnection()

    async def _answer(self, request: AdminRequest) -> Answer:
        try:
            return await self._routed(request)
        except Refusal as refusal:
            return refusal.answer()
        except CancelledError:  # the client is gone
            raise
        except Exception:  # noqa: BLE001 - a bug here must not leave a client waiting
            self._log.failure("admin: cannot answer")
            return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "a bug: see the log").answer()

    async def _routed(self, request: AdminRequest) -> Answer:
        path = request.path.decode("ascii", "replace")
        get, post = self._gets.get(path), self._posts.get(path)
        if get is None and post is None:
            raise Refusal(HTTPStatus.NOT_FOUND, f"{path[:200]!r} is not here")
        if get is not None and request.method in {b"GET", b"HEAD"}:
            self._check_host(request, path)
            return await get(request)
        if post is not None and request.method == b"POST":
            self._hosts.check(request)
            _check_content_type(request)
            self._guard.check(request)
            return await post(request, _json_body(request))
        allowed = "GET, HEAD" if get is not None else "POST"
        method = request.method.decode("ascii", "replace")
        raise Refusal(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"{method[:50]} does nothing here: expected {allowed}",
            {"Allow": allowed},
        )

    def _check_host(self, request: AdminRequest, path: str) -> None:
        """Refuse pages of other sites; machines call us by names that we do not know.

        Probes learn one word, whoever asks. A scraper elsewhere uses whatever name its
        configuration has; one on this machine has no reason for any but localhost.
        """
        for_machines = path in {"/healthz", "/readyz"} or (
            path == "/metrics" and over_network(request)
        )
        if not for_machines:
            self._hosts.check(request)

    async def _read(self) -> ServiceStats:
        try:
            return await self._reader.read()
        except DeferredTimeoutError:
            reason = f"it did not tell within {STATS_TIMEOUT:g} s"
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the page says what is wrong
            self._log.failure("admin: no statistics")
            reason = str(error) or type(error).__name__
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"no statistics: {reason}")

    async def _healthz(self, request: AdminRequest) -> Answer:
        return text_answer("ok")

    async def _readyz(self, request: AdminRequest) -> Answer:
        if self._source.ready:
            return text_answer("ready")
        return text_answer("draining, or not listening yet", HTTPStatus.SERVICE_UNAVAILABLE)

    async def _metrics(self, request: AdminRequest) -> Answer:
        body, content_type = exposition(await self._read(), request.header("Accept"))
        return Answer(body, content_type)

    async def _stats(self, request: AdminRequest) -> Answer:
        stats = await self._read()
        soonest = sorted(stats.banned.items(), key=lambda each: (each[1] or inf, each[0]))
        return json_answer(
            {
                "now": round(self._now(), 3),
                "ready": self._source.ready,
                **asdict(stats),
                "banned": dict(soonest[:MAX_BANS]),
                "banned_networks": len(soonest),
            }
        )

    async def _get_history(self, request: AdminRequest) -> Answer:
        return json_answer(
            {
                "interval": INTERVAL,
                "columns": COLUMNS,
                "samples": self._history.samples,
            }
        )

    async def _file(self, request: AdminRequest) -> Answer:
        return self._files[request.path.decode()]

    async def _check(self, request: AdminRequest, body: dict[str, Any]) -> Answer:
        _expect(body)
        return json_answer({"ok": True})

    async def _drain(self, request: AdminRequest, body: dict[str, Any]) -> Answer:
        _expect(body)
        self._log.info("admin: {peer} drains", peer=_peer(request))
        self._source.drain()
        return json_answer({"draining": True}, HTTPStatus.ACCEPTED)

    async def _ban(self, request: AdminRequest, body: dict[str, Any]) -> Answer:
        _expect(body, "network", "seconds")
        network, seconds = _network(body), _seconds(body)
        try:
            self._source.ban(network, seconds)
        except ValueError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from error
        self._log.info(
            "admin: {peer} banned {network} for {seconds} s",
            peer=_peer(request),
            network=network,
            seconds="any number of" if seconds is None else f"{seconds:g}",
        )
        return json_answer({"banned": network})

    async def _unban(self, request: AdminRequest, body: dict[str, Any]) -> Answer:
        _expect(body, "network")
        network = _network(body)
        try:
            found = self._source.unban(network)
        except ValueError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from error
        if not found:
            raise Refusal(HTTPStatus.NOT_FOUND, f"{network!r} is not banned")
        self._log.info("admin: {peer} unbanned {network}", peer=_peer(request), network=network)
        return json_answer({"unbanned": network})


def _read_files() -> dict[str, Answer]:
    """What the page is made of, by path."""
    answers: dict[str, Answer] = {}
    for each in files("netsuite.service.admin").joinpath("static").iterdir():
        content_type = _TYPES.get(each.name.rpartition(".")[2])
        if content_type is not None:
            path = "/" if each.name == "index.html" else f"/static/{each.name}"
            answers[path] = Answer(each.read_bytes(), content_type)
    return answers


def _check_content_type(request: AdminRequest) -> None:
    """Refuse what a form of another site could send without asking (WHATWG Fetch, CORS)."""
    content_type = request.header("Content-Type").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected Content-Type: application/json")


def _json_body(request: AdminRequest) -> dict[str, Any]:
    try:
        body = json.loads(request.content.read())
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, "expected a JSON object")
    return body


def _expect(body: dict[str, Any], *names: str) -> None:
    for name in body:
        if name not in names:
            expected = " and ".join(names) or "an empty object"
            raise Refusal(HTTPStatus.BAD_REQUEST, f"{name[:50]!r} is unknown: expected {expected}")


def _network(body: dict[str, Any]) -> str:
    network = body.get("network")
    if not isinstance(network, str) or not network.strip():
        raise Refusal(HTTPStatus.BAD_REQUEST, "network: expected a text, such as 192.0.2.0/24")
    return network.strip()


def _seconds(body: dict[str, Any]) -> float | None:
    seconds = body.get("seconds")
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise Refusal(HTTPStatus.BAD_REQUEST, "seconds: expected a number, or null for no end")
    if not (seconds > 0 and isfinite(seconds)):
        raise Refusal(HTTPStatus.BAD_REQUEST, "seconds: expected more than 0")
    return float(seconds)


def _peer(request: AdminRequest) -> str:
    return address_text(request.getClientAddress())
