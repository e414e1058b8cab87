"""The picture of a report in README.md, made anew: python docs/screenshot.py SWEEP_DIR [docs/report.png]

The upper part of the page of a finished sweep, as a browser 1,280 pixels wide shows it. Needs Chromium with its driver.
"""

from __future__ import annotations

import base64
import shutil
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver

WIDTH_PX = 1280
LAST_SECTION = "speed-up"
"""The picture ends with it."""
FLAGS = "--headless --no-sandbox --disable-gpu --disable-background-networking --hide-scrollbars"
DRAWN = "return [...document.querySelectorAll('.plot')].every(e => e.querySelector('.main-svg'))"
END = "return Math.ceil(document.getElementById(arguments[0]).getBoundingClientRect().bottom + scrollY)"


def main(sweep_dir: Path, picture: Path) -> None:
    page = sweep_dir / "report" / "index.html"
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    with tempfile.TemporaryDirectory() as home:
        for flag in (*FLAGS.split(), f"--user-data-dir={home}"):
            options.add_argument(flag)
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
        browser = webdriver.Chrome(options=options, service=service)
        try:
            # As high as the page, so that all of it is near the screen and drawn
            size = {"width": WIDTH_PX, "height": 12000, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            browser.get(page.absolute().as_uri())
            while not browser.execute_script(DRAWN):
                time.sleep(0.1)
            clip = {
                "x": 0,
                "y": 0,
                "width": WIDTH_PX,
                "height": browser.execute_script(END, LAST_SECTION) + 16,
                "scale": 1,
            }
            shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})
        finally:
            browser.quit()
    picture.write_bytes(base64.b64decode(shot["data"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "docs/report.png"))
