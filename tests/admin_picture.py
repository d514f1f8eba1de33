"""Take the picture of the dashboard that the documentation shows.

``python -m tests.admin_picture`` writes docs/_static/dashboard.png.
"""

import sys
import tempfile
from pathlib import Path

from selenium.webdriver.common.by import By

from tests.admin_browser import chromium
from tests.admin_service import admin_service
from tests.running import ROOT, wait_for

PICTURE = ROOT / "docs" / "_static" / "dashboard.png"
SIZE = (1280, 900)
#: The most that a page should have to load for it.
MAX_BYTES = 200_000


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        admin_service(Path(directory), "--past=900") as (_, port),
        chromium(*SIZE) as browser,
    ):
        browser.get(f"http://localhost:{port}/")
        wait_for(lambda: "B/s" in browser.find_element(By.ID, "listeners").text, "rates")
        picture: bytes = browser.get_screenshot_as_png()
    if len(picture) > MAX_BYTES:
        sys.exit(f"the picture has {len(picture)} bytes: expected up to {MAX_BYTES}")
    PICTURE.write_bytes(picture)


if __name__ == "__main__":
    main()
