"""The dashboard in a real browser."""

import http.client
import json
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from netsuite.service._stats import DURATION_BOUNDS
from tests.admin_browser import chromium, prefer, resize
from tests.admin_picture import MAX_BYTES, PICTURE, SIZE
from tests.admin_service import TOKEN, admin_service
from tests.running import PATIENCE, wait_for
from tests.test_admin_daemon import TOKEN as DAEMON_TOKEN
from tests.test_admin_daemon import serving

NOTHING = "\u2013"
MINUS = "\u2212"

# Chromium takes a while to start on a busy machine.
pytestmark = [pytest.mark.once, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium() as browser:
        browser.set_script_timeout(PATIENCE)
        yield browser


class Page:
    """The dashboard, as somebody uses it."""

    def __init__(self, browser: Chrome, port: int) -> None:
        self.browser = browser
        self.port = port
        resize(browser, 1280, 900)
        browser.get(f"http://localhost:{port}/")
        browser.execute_script("sessionStorage.clear()")
        browser.get_log("browser")
        browser.get(f"http://localhost:{port}/")
        wait_for(lambda: self.text("uptime") != NOTHING, "numbers")

    def find(self, name: str) -> WebElement:
        return self.browser.find_element(By.ID, name)

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def text(self, name: str) -> str:
        return self.find(name).text

    def wait_for_text(self, name: str, text: str) -> None:
        wait_for(lambda: text in self.text(name), f"{text!r} in #{name}")

    def type(self, name: str, text: str) -> None:
        self.find(name).clear()
        self.find(name).send_keys(text, Keys.ENTER)

    def unlock(self, token: str = TOKEN) -> None:
        self.type("token", token)
        wait_for(lambda: self.find("unlocked").is_displayed(), "the controls")

    def texts(self, selector: str) -> list[str]:
        """What all these say, at one moment."""
        text = "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)"
        found: list[str] = self.script(text, selector)
        return found

    def bans(self) -> list[str]:
        return self.texts("#bans th")

    def script(self, text: str, *arguments: object) -> Any:
        return self.browser.execute_script(text, *arguments)

    def complaints(self) -> list[str]:
        """What the browser has to complain about."""
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def stats(self) -> Any:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as link:
            link.request("GET", "/api/stats")
            return json.loads(link.getresponse().read())


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with admin_service(tmp_path_factory.mktemp("dashboard"), "--past=900") as (_, port):
        yield port


@pytest.fixture
def page(browser: Chrome, port: int) -> Page:
    return Page(browser, port)


def test_it_shows_the_service(page: Page) -> None:
    assert page.browser.title == "echo · netsuite"
    assert (page.text("service"), page.text("state")) == ("echo", "Ready")
    assert "4 processes" in page.text("processes")
    assert page.texts("#listeners th") == ["echo", "echo-tls", "discard"]
    [row, *_] = page.texts("#listeners tr")
    for text in ("0.0.0.0:9000", "[::]:9000", "banned", "accept_rate", "idle"):
        assert text in row
    wait_for(lambda: "B/s" in page.texts("#listeners tr")[0], "rates")
    assert page.texts("#certificates .chip") == [
        "12 days left",
        "74 days left",
    ]
    assert page.text("reloads") == "6, 1 failed"
    assert "most" in page.text("active-note")
    assert page.complaints() == []


def test_charts_are_full_at_once(page: Page) -> None:
    drawn: Callable[[], list[int]] = lambda: [  # noqa: E731
        len(each.get_attribute("d") or "") for each in page.all("path.line")
    ]
    wait_for(lambda: len(drawn()) == 11 and min(drawn()) > 1000, "lines over five minutes")
    assert len(page.all("rect.bar")) == len(DURATION_BOUNDS) + 1
    for each in page.all("svg[role=img]"):
        label = each.get_attribute("aria-label") or ""
        assert ": " in label
        assert NOTHING not in label
    assert page.texts(".chart .note") == [""] * 6


def test_numbers_move(page: Page) -> None:
    for name in ("active", "received", "sent"):
        before = page.text(name)
        wait_for(lambda name=name, before=before: page.text(name) != before, f"another {name}")  # type: ignore[misc]
    line = page.all("path.line")[0]
    before = line.get_attribute("d") or ""
    wait_for(lambda: line.get_attribute("d") != before, "another line")


def test_another_time(page: Page) -> None:
    labels = ".chart:first-child .grid text.middle"
    assert f"{MINUS}4 min" in page.texts(labels)
    page.script("document.querySelector('#range input[value=\"900\"]').click()")
    assert f"{MINUS}10 min" in page.texts(labels)
    page.script("document.querySelector('#range input[value=\"60\"]').click()")
    assert f"{MINUS}30 s" in page.texts(labels)


def test_a_wrong_token(page: Page) -> None:
    page.type("token", "guess-that-is-wrong")
    page.wait_for_text("token-error", "That is not the admin token.")
    assert page.find("token").get_attribute("aria-invalid") == "true"
    assert page.find("unlock").is_displayed()
    assert page.script("return sessionStorage.length") == 0
    page.unlock()
    assert not page.find("token-error").is_displayed()


def test_changes_need_the_token(page: Page) -> None:
    page.type("network", "192.0.2.0/24")
    page.wait_for_text("token-error", "Enter the admin token first.")
    page.find("drain").click()
    assert not page.find("drain-dialog").is_displayed()
    assert page.script("return document.activeElement.id") == "token"
    assert "192.0.2.0/24" not in page.stats()["banned"]


def test_the_token_stays_in_the_tab(page: Page) -> None:
    page.unlock()
    page.browser.refresh()
    wait_for(lambda: page.find("unlocked").is_displayed(), "the controls")
    assert page.script("return localStorage.length + document.cookie.length") == 0
    assert TOKEN not in page.browser.current_url
    page.find("lock").click()
    assert page.find("unlock").is_displayed()
    assert page.script("return sessionStorage.length") == 0


def test_ban_and_unban(page: Page) -> None:
    page.unlock()
    count = int(page.text("ban-count"))
    page.type("network", "198.51.100.0/24")
    wait_for(lambda: "198.51.100.0/24" in page.bans(), "the ban")
    page.wait_for_text("said", "198.51.100.0/24 is banned for 1\u202fh.")
    assert page.text("ban-count") == str(count + 1)
    assert page.find("network").get_attribute("value") == ""
    assert "198.51.100.0/24" in page.stats()["banned"]

    [button] = page.all("[aria-label='Unban 198.51.100.0/24']")
    row = page.texts("#bans tr")[page.bans().index("198.51.100.0/24")]
    assert "min" in row
    button.click()
    wait_for(lambda: "198.51.100.0/24" not in page.bans(), "the ban to go")
    assert "198.51.100.0/24" not in page.stats()["banned"]


def test_a_ban_without_end(page: Page) -> None:
    page.unlock()
    page.script("document.getElementById('seconds').value = ''")
    page.type("network", "2001:db8::7")
    wait_for(lambda: "2001:db8::7/128" in page.bans(), "the ban")
    assert page.stats()["banned"]["2001:db8::7/128"] is None


def test_what_is_no_network(page: Page) -> None:
    page.unlock()
    page.type("network", "10.0.0.1/8")
    page.wait_for_text("ban-error", "expected no bits set behind the prefix, as in 10.0.0.0/8")
    page.type("network", " ")
    page.wait_for_text("ban-error", "Enter an address or a network")
    page.type("network", "10.0.0.0/8")
    wait_for(lambda: not page.find("ban-error").is_displayed(), "the complaint to go")


def test_charts_by_keyboard(page: Page) -> None:
    page.script("document.querySelector('.plot[tabindex]').focus()")
    plot = page.all(".plot")[0]
    plot.send_keys(Keys.ARROW_LEFT)
    [tip] = page.all(".chart:first-child .tip")
    assert tip.is_displayed()
    first = tip.text
    assert "active" in first
    plot.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert tip.text.splitlines()[0] < first.splitlines()[0]
    plot.send_keys(Keys.ESCAPE)
    assert not tip.is_displayed()


def test_it_rests_while_nobody_looks(page: Page) -> None:
    asked = (
        "return performance.getEntriesByType('resource')"
        ".filter((each) => each.name.endsWith('/api/stats')).length"
    )
    look = (
        "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )

    def samples() -> int:
        text = "return fetch('/api/history').then((each) => each.json())"
        return int(page.script(f"{text}.then((each) => each.samples.at(-1)[0])"))

    page.script(look, True)
    before, begun = page.script(asked), samples()
    wait_for(lambda: samples() >= begun + 4, "some seconds to pass")
    assert page.script(asked) <= before + 1  # one may have been on its way
    page.script(look, False)
    wait_for(lambda: page.script(asked) >= before + 3, "questions again")


@pytest.mark.parametrize("width", [360, 800, 1280, 1900])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits(page: Page, width: int, scheme: str) -> None:
    resize(page.browser, width, 900)
    prefer(page.browser, scheme)
    try:
        needed = page.script("return document.scrollingElement.scrollWidth")
        assert needed <= width
        background = page.script("return getComputedStyle(document.body).backgroundColor")
        red = int(background.partition("(")[2].partition(",")[0])
        assert (red > 200) == (scheme == "light")
        assert page.complaints() == []
    finally:
        prefer(page.browser, "")


def test_names_for_those_who_do_not_see(page: Page) -> None:
    nameless = page.script(
        """return [...document.querySelectorAll("input, select, button, svg, img, section, table")]
        .filter((each) => !(each.labels?.length || each.getAttribute("aria-label")
            || each.getAttribute("aria-labelledby") || each.textContent.trim()
            || each.hasAttribute("alt")))
        .map((each) => each.outerHTML)"""
    )
    assert nameless == []
    levels = [int(each.tag_name[1]) for each in page.all("h1, h2, h3")]
    assert levels[0] == 1
    assert all(deeper <= level + 1 for level, deeper in pairwise(levels))


def test_names_are_no_markup(browser: Chrome, tmp_path: Path) -> None:
    name = "<img src=x onerror=document.title='hit'> & \"co\""
    with admin_service(tmp_path, f"--name={name}") as (_, port):
        page = Page(browser, port)
        assert page.text("service") == name
        assert page.browser.title == f"{name} · netsuite"
        assert page.complaints() == []


def test_drain_after_a_question(browser: Chrome, tmp_path: Path) -> None:
    with admin_service(tmp_path) as (process, port):
        page = Page(browser, port)
        page.unlock()
        page.find("drain").click()
        assert page.find("drain-dialog").is_displayed()
        assert "Drain echo?" in page.text("drain-dialog")
        page.browser.switch_to.active_element.send_keys(Keys.ENTER)  # the safe one has the focus
        wait_for(lambda: not page.find("drain-dialog").is_displayed(), "the question to go")
        assert page.stats()["draining"] is False

        page.find("drain").click()
        page.find("drain-now").click()
        page.wait_for_text("state", "Draining")
        assert page.stats()["draining"] is True
        assert not page.find("drain").is_enabled()

        process.kill()
        page.wait_for_text("lost", "The service has drained and ended.")
        assert page.text("state") == "Ended"


def test_a_real_service(browser: Chrome, tmp_path: Path) -> None:
    with serving(tmp_path, "--drain-timeout=60") as service:
        page = Page(browser, service.admin)
        with closing(service.connect()) as connection:
            page.wait_for_text("active", "1")
            page.unlock(DAEMON_TOKEN)
            page.type("network", "127.0.0.0/8")
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
        wait_for(lambda: page.bans() == ["127.0.0.0/8"], "the ban")
        wait_for(lambda: "ban1" in "".join(page.texts("#listeners .chip")), "what was cut")
        page.all("#bans button")[0].click()
        wait_for(lambda: page.bans() == [], "the ban to go")

        with closing(service.connect()) as connection:
            page.wait_for_text("active", "1")
            page.find("drain").click()
            page.find("drain-now").click()
            page.wait_for_text("state", "Draining")
        page.wait_for_text("lost", "The service has drained and ended.")
        assert service.process.wait() == 0


def test_workers(browser: Chrome, tmp_path: Path) -> None:
    with serving(tmp_path, "--workers=2") as service:
        page = Page(browser, service.admin)
        assert "3 processes" in page.text("processes")
        assert page.text("pids") == ", ".join(map(str, service.stats()["pids"]))
        with closing(service.connect()), closing(service.connect()):
            page.wait_for_text("active", "2")
        page.wait_for_text("active", "0")


def test_a_lost_connection(browser: Chrome, tmp_path: Path) -> None:
    with admin_service(tmp_path) as (process, port):
        page = Page(browser, port)
        process.kill()
        page.wait_for_text("lost", "Connection to the service lost: trying again.")
        assert page.text("state") == "Lost"
        assert page.text("service") == "echo"
    (tmp_path / "admin-port").unlink()
    with admin_service(tmp_path, f"--endpoint=tcp:{port}:interface=127.0.0.1"):
        page.wait_for_text("state", "Ready")
        assert not page.find("lost").is_displayed()
    # Nothing but the requests that failed.
    assert all("net::ERR_" in each for each in page.complaints())


def module(page: Page, name: str, expression: str, *arguments: object) -> Any:
    """What an expression gives, with all that a module of the page exports."""
    names = {
        "format": "count, rate, bytes, throughput, seconds, span, day, plural",
        "series": "Series, sampleOf, values, rates, added, quantile, quantiles",
    }[name]
    return page.browser.execute_async_script(
        f"const done = arguments[arguments.length - 1];"
        f"const given = arguments;"
        f"import('/static/{name}.js').then(({{{names}}}) => done({expression}),"
        f"(error) => done(String(error)));",
        *arguments,
    )


def test_how_numbers_are_written(page: Page) -> None:
    for expression, expected in (
        ("count(0)", "0"),
        ("count(9999)", "9,999"),
        ("count(10000)", "10.0 k"),
        ("count(999499)", "999 k"),
        ("count(999500)", "1.00 M"),
        ("count(2.5, true)", "2.5"),
        ("rate(0)", "0/s"),
        ("rate(0.204)", "0.20/s"),
        ("rate(12345)", "12.3 k/s"),
        ("bytes(999)", "999 B"),
        ("bytes(1e9)", "1.00 GB"),
        ("bytes(2e24)", "2000000000 PB"),
        ("throughput(0, true)", "0"),
        ("throughput(2.5e6, true)", "2.5 MB/s"),
        ("seconds(0)", "0"),
        ("seconds(0.00025)", "250 µs"),
        ("seconds(0.0012)", "1.20 ms"),
        ("seconds(59)", "59.0 s"),
        ("seconds(300, true)", "5 min"),
        ("seconds(5400)", "1.50 h"),
        ("span(0)", "0 s"),
        ("span(59.9)", "59 s"),
        ("span(3600)", "1 h"),
        ("span(86400 * 3 + 3600 * 4 + 59)", "3 d 4 h"),
        ("span(-5)", "0 s"),
        ("day(1795000000)", "2026-11-18"),
        ("plural(1, 'day', 'days')", "1 day"),
    ):
        assert module(page, "format", expression).replace("\u202f", " ") == expected, expression


def test_quantiles(page: Page) -> None:
    """As Prometheus' histogram_quantile has them."""
    bounds = [1.0, 2.0, 4.0]
    for counts, share, expected in (
        ([0, 0, 0, 0], 0.5, None),
        ([10, 0, 0, 0], 0.5, 0.5),
        ([0, 10, 0, 0], 0.5, 1.5),
        ([5, 0, 5, 0], 0.5, 1.0),
        ([5, 0, 5, 0], 0.75, 3.0),
        ([0, 0, 0, 3], 0.99, 4.0),
        ([1, 0, 0, 9], 0.5, 4.0),
    ):
        found = module(page, "series", "quantile(...given)", bounds, counts, share)
        assert found == expected, (counts, share)


def test_rates_with_holes_and_restarts(page: Page) -> None:
    samples = [
        {"time": time, "accepted": accepted, "lag": lag}
        for time, accepted, lag in (
            (0, 0, [0, 0]),
            (1, 10, [4, 0]),
            (2, 20, [4, 4]),
            (20, 30, [4, 4]),  # after a hole
            (21, 5, [0, 0]),  # after a restart
            (22, 7, [8, 0]),
        )
    ]
    assert module(page, "series", "rates(given[0], 'accepted', 1)", samples) == [
        *([0, None], [1, 10], [2, 10], [20, None], [21, 0], [22, 2]),
    ]
    assert module(page, "series", "rates(given[0], 'accepted', 2)", samples)[2] == [2, 10]
    assert module(page, "series", "values(given[0], 'accepted')", samples)[2:5] == [
        *([2, 20], [2, None], [20, 30]),
    ]
    assert module(page, "series", "quantiles(given[0], 'lag', [1], 0.5, 1)", samples) == [
        *([0, None], [1, 0.5], [2, 1], [20, None], [21, None], [22, 0.5]),
    ]


def test_a_page_that_is_open_for_days_does_not_grow(page: Page) -> None:
    length = module(
        page,
        "series",
        "(() => { const all = new Series(); for (let time = 0; time < 2000; time += 1)"
        " all.push({time}); all.push({time: 5}); return [all.samples.length,"
        " all.samples[0].time, all.within(10).length]; })()",
    )
    assert length == [900, 1100, 11]


@contextmanager
def another_site(directory: Path) -> Iterator[int]:
    """The port of a site that is not ours."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_other_sites_get_nothing(page: Page, tmp_path: Path) -> None:
    """Neither by reading, nor by posting as forms do, which needs nobody's leave."""
    (tmp_path / "index.html").write_text("<!doctype html><title>another</title>")
    with another_site(tmp_path) as port:
        page.browser.get(f"http://localhost:{port}/index.html")
        assert page.browser.title == "another"
        read, posted, framed = page.browser.execute_async_script(
            """const done = arguments[arguments.length - 1];
            const ours = arguments[0];
            const form = {method: "POST", mode: "no-cors", body: "{}"};
            const frame = document.createElement("iframe");
            const loaded = new Promise((resolve) => { frame.onload = resolve; });
            frame.src = ours;
            document.body.append(frame);
            const asked = [fetch(ours + "/api/stats"), fetch(ours + "/api/drain", form), loaded];
            Promise.allSettled(asked).then(([read, posted]) =>
              done([read.status, posted.status, String(frame.contentDocument)]));
            """,
            f"http://127.0.0.1:{page.port}",
        )
    # The frame shows the browser's own error page.
    assert (read, posted, framed) == ("rejected", "rejected", "null")
    assert page.stats()["draining"] is False


def test_another_name_of_this_machine(page: Page) -> None:
    """As a rebound name is one: it gets a refusal instead of the page."""
    page.browser.get(f"http://rebound.test:{page.port}/")
    assert "is no name of this service" in page.browser.page_source


def test_the_picture_in_the_documentation() -> None:
    picture = PICTURE.read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack("!II", picture[16:24]) == SIZE
    assert len(picture) <= MAX_BYTES
