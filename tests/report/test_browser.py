"""The page in a real browser, from a file, with no network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from sweep.analysis.results import derive
from sweep.report.page import render_page
from tests.devices.parts import until
from tests.record.fixtures import sweep_outcome

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="no Chromium with its driver on this machine"),
]

READY = "return document.readyState === 'complete' && Boolean(document.getElementById('shown')?.value)"

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-dev-shm-usage"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    home = tmp_path_factory.mktemp("browser")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS.split(), f"--user-data-dir={home}", "--window-size=1280,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    home = tmp_path_factory.mktemp("sweep")
    path = home / "index.html"
    path.write_text(render_page(derive(sweep_outcome(home, models=("squeezenet", "shufflenet")))), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(browser: Any, page: str) -> Any:
    browser.get_log("browser")
    browser.set_window_size(1280, 900)
    browser.get(
        "about:blank"
    )  # a second visit of the same page could be answered by the first, which is sorted already
    browser.get(page)
    until(lambda: browser.execute_script(READY), "the page's script to be through", 20)
    return browser


def shown_rows(browser: Any) -> list[str]:
    script = "return [...document.querySelectorAll('#cells tbody tr')].filter(r => !r.hidden).map(r => r.innerText)"
    return [" ".join(text.split()) for text in browser.execute_script(script)]


def test_every_figure_is_drawn_and_the_console_stays_empty(opened: Any) -> None:
    opened.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    plots = opened.execute_script("return document.querySelectorAll('.plot').length")
    drawn = opened.execute_script("return document.querySelectorAll('.plot .main-svg').length")
    assert plots == 16
    assert drawn >= plots
    assert opened.get_log("browser") == []
    assert opened.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_filters_leave_the_cells_that_fit(opened: Any) -> None:
    assert len(shown_rows(opened)) == 28
    opened.execute_script(
        """const form = document.getElementById('filters');
        form.elements.device.value = 'local-2'; form.elements.text.value = 'xgb SHUFF';
        form.dispatchEvent(new Event('input', {bubbles: true}));"""
    )
    rows = shown_rows(opened)
    assert len(rows) == 2
    assert all(row.startswith("shufflenet local-2 xgb") for row in rows)
    assert opened.execute_script("return document.getElementById('shown').value") == "2 of 28 cells"


def test_a_click_sorts_by_number_and_a_second_one_turns_it_round(opened: Any) -> None:
    heading = "[...document.querySelectorAll('#cells th button')].find(b => b.innerText.startsWith('median')).click()"
    opened.execute_script(heading)
    first = shown_rows(opened)
    assert first[0].startswith("shufflenet local-2 ONNX Runtime")
    assert "failed" in first[-3] + first[-2] + first[-1]
    opened.execute_script(heading)
    assert shown_rows(opened)[0].startswith("squeezenet local-1 untuned O0")
    assert opened.get_log("browser") == []


def test_the_log_switch_redraws(opened: Any) -> None:
    opened.execute_script("document.querySelector('button.log').scrollIntoView()")
    opened.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    kind = "return document.getElementById('figure-0').layout.xaxis.type"
    assert opened.execute_script(kind) != "log"
    opened.execute_script("document.querySelector('button.log').click()")
    assert opened.execute_script(kind) == "log"
    assert opened.get_log("browser") == []


def test_nothing_runs_off_the_side_of_a_phone(opened: Any) -> None:
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    opened.refresh()
    opened.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    try:
        assert opened.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
