"""Chromium without a window, for tests of pages and for pictures of them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
#: Nothing but this machine is there for it, which has one more name.
_NAMES = (
    *("MAP rebound.test 127.0.0.1", "MAP * ~NOTFOUND"),
    *("EXCLUDE localhost", "EXCLUDE 127.0.0.1"),
)


def _program(name: str, package: str) -> str:
    path = shutil.which(name)
    assert path, f"{name} is missing: install the package {package}"
    return path


@contextmanager
def chromium(width: int = 1280, height: int = 900) -> Iterator[Chrome]:
    """A browser with a profile of its own, until the block ends."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = _program("chromium", "chromium")
        for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.add_argument(f"--host-resolver-rules={', '.join(_NAMES)}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = Service(_program("chromedriver", "chromium-driver"))
        browser = Chrome(options=options, service=service)
        try:
            resize(browser, width, height)
            yield browser
        finally:
            browser.quit()


def resize(browser: Chrome, width: int, height: int) -> None:
    """Give the page, not the window, this size."""
    size: dict[str, Any] = {"width": width, "height": height, "deviceScaleFactor": 1}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "mobile": False})


def prefer(browser: Chrome, scheme: str) -> None:
    """Be somebody who likes ``light`` or ``dark`` pages."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
