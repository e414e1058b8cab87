"""The page in a real browser, from a file, with no network."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweep.analysis.outcome import SweepOutcome
from sweep.analysis.overlay.metric import judge
from sweep.analysis.rows.results import derive
from sweep.report.figures.overlay import layer_figures, overlay_page, overview
from sweep.report.page import render_page
from tests.analysis.overlay.layers import layer
from tests.devices.parts import until
from tests.record.fixtures import sweep_outcome
from tests.report.hostile import ALL, hostile

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
PDFTOTEXT = shutil.which("pdftotext")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="no Chromium with its driver on this machine"),
]

READY = """return document.readyState === 'complete' && Boolean(document.getElementById('shown')?.value)
  && Boolean(window.Plotly || !document.getElementById('plotly-packed'))"""

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-dev-shm-usage"""
SIGNED = "return [...document.querySelectorAll('#cells th [role=button]')]"
TOO_HIGH = """return [...document.querySelectorAll('.plot')]
  .filter(p => p.querySelector('.main-svg').clientHeight > p.clientHeight).map(p => p.id)"""
A4_PX = 794 - 2 * 45
"""Between the margins, at 96 a inch."""


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
    return written(home, sweep_outcome(home, models=("squeezenet", "shufflenet")))


def written(home: Path, outcome: SweepOutcome) -> str:
    path = home / "index.html"
    path.write_text(render_page(derive(outcome)), encoding="utf-8")
    return path.as_uri()


def shown(browser: Any, page: str) -> Any:
    browser.get_log("browser")
    browser.set_window_size(1280, 900)
    # a second visit of the same page could be answered by the first, which is sorted already
    browser.get("about:blank")
    browser.get(page)
    until(lambda: browser.execute_script(READY), "the page's script to be through")
    return browser


@pytest.fixture
def opened(browser: Any, page: str) -> Any:
    return shown(browser, page)


@pytest.fixture
def on_paper(opened: Any) -> Iterator[Any]:
    """The page as print lays it out, on a sheet of A4."""
    opened.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    metrics = {"width": A4_PX, "height": 1000, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    yield opened
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def shown_rows(browser: Any) -> list[str]:
    script = "return [...document.querySelectorAll('#cells tbody tr')].filter(r => !r.hidden).map(r => r.innerText)"
    return [" ".join(text.split()) for text in browser.execute_script(script)]


def choose(browser: Any, **values: str) -> None:
    browser.execute_script(
        """const form = document.getElementById('filters');
        for (const [name, value] of Object.entries(arguments[0])) form.elements[name.replace('_', '-')].value = value;
        form.dispatchEvent(new Event('input', {bubbles: true}));""",
        values,
    )


def test_every_figure_is_drawn_and_the_console_stays_empty(opened: Any) -> None:
    opened.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    plots = opened.execute_script("return document.querySelectorAll('.plot').length")
    drawn = opened.execute_script("return document.querySelectorAll('.plot .main-svg').length")
    assert plots == 18
    assert drawn >= plots
    for moment in ("beforeprint", "afterprint"):
        opened.execute_script(f"window.dispatchEvent(new Event('{moment}'))")
        assert opened.execute_script(TOO_HIGH) == []
    assert opened.get_log("browser") == []
    assert opened.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_filters_leave_the_cells_that_fit(opened: Any) -> None:
    assert len(shown_rows(opened)) == 28
    choose(opened, device="local-2", text="xgb SHUFF")
    rows = shown_rows(opened)
    assert len(rows) == 2
    assert all(row.startswith("shufflenet local-2 xgb") for row in rows)
    assert opened.execute_script("return document.getElementById('shown').value") == "2 of 28 cells"
    choose(opened, opt_level="O3")
    assert len(shown_rows(opened)) == 1
    opened.execute_script("document.querySelector('#filters [type=reset]').click()")
    until(lambda: len(shown_rows(opened)) == 28, "all rows to come back")


def test_filters_of_model_and_device_hold_for_cards_and_pictures_too(opened: Any) -> None:
    choose(opened, model="shufflenet", device="local-2", tuner="xgb")
    script = "return [...document.querySelectorAll('figure, .card')].filter(e => !e.hidden).map(e => e.innerText)"
    titles = [text.split("\n")[0] for text in opened.execute_script(script)]
    assert "shufflenet on local-2" in titles
    assert not [title for title in titles if "squeezenet" in title or "local-1" in title]


def test_a_click_or_a_key_sorts_by_number_and_a_second_one_turns_it_round(opened: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    median = f"{SIGNED}.find(b => b.innerText.startsWith('median'))"
    heading = opened.execute_script(median)
    opened.execute_script("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", heading)
    heading.click()
    first = shown_rows(opened)
    assert first[0].startswith("shufflenet local-2 ONNX Runtime")
    assert "failed" in first[-3] + first[-2] + first[-1]
    heading.send_keys(Keys.ENTER)
    assert shown_rows(opened)[0].startswith("squeezenet local-1 untuned O0")
    assert opened.get_log("browser") == []


@pytest.mark.slow
def test_the_log_switch_redraws(opened: Any) -> None:
    opened.execute_script("document.querySelector('button.log').scrollIntoView()")
    opened.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    switch = "document.querySelector('button.log')"
    axis = f"document.getElementById('figure-' + {switch}.dataset.figure).layout.xaxis"
    kind, ends = f"return [{axis}.type, {switch}.getAttribute('aria-pressed')]", f"return {axis}.range"
    assert opened.execute_script(kind) == ["log", "true"]  # latencies that differ by 21
    written = opened.execute_script(ends)
    opened.execute_script(f"{switch}.click()")
    assert opened.execute_script(kind) == ["linear", "false"]
    assert opened.execute_script(ends)[0] == 0
    opened.execute_script(f"{switch}.click()")
    assert opened.execute_script(kind) == ["log", "true"]
    assert opened.execute_script(ends) == pytest.approx(written)
    assert opened.get_log("browser") == []


def test_run_links_lead_to_the_port_that_the_ui_said(browser: Any, tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path)
    path = tmp_path / "index.html"
    path.write_text(render_page(derive(outcome, {outcome.cells[0].cell.id: "run-1"})), encoding="utf-8")
    address = "return document.querySelector('a[data-own-ui]').href"
    for query, port in (("", 5000), ("?ui=5123", 5123), ("?ui=1@evil", 5000), ("?ui=99999", 5000)):
        opened = shown(browser, f"{path.as_uri()}{query}")
        assert opened.execute_script(address) == f"http://127.0.0.1:{port}/#/runs/run-1"
    opened.execute_script(
        """const field = document.getElementById('ui-port');
        field.value = '6001'; field.dispatchEvent(new Event('input'));"""
    )
    assert opened.execute_script(address) == "http://127.0.0.1:6001/#/runs/run-1"
    assert opened.get_log("browser") == []


def test_the_page_counts_as_loaded_when_pictures_can_be_drawn(browser: Any, page: str) -> None:
    """So that `chromium --print-to-pdf`, which prints at that moment, has them."""
    noted = {"source": "addEventListener('load', () => { window.hadLibrary = Boolean(window.Plotly); })"}
    known = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", noted)
    try:
        assert shown(browser, page).execute_script("return window.hadLibrary") is True
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", known)


def test_a_browser_that_cannot_unpack_the_library_says_so(browser: Any, page: str) -> None:
    hidden = {"source": "delete window.DecompressionStream"}
    known = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", hidden)
    try:
        browser.get("about:blank")
        browser.get(page)
        told = "return document.querySelector('.plot').textContent"
        until(lambda: "Not drawn" in browser.execute_script(told), "pictures to say why there is none")
        assert len(shown_rows(browser)) == 28
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", known)


def test_nothing_runs_off_the_side_of_a_phone(opened: Any) -> None:
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        opened.refresh()
        until(lambda: opened.execute_script(READY), "the page's script to be through")
        for moment in ("beforeprint", "afterprint"):
            opened.execute_script(f"window.dispatchEvent(new Event('{moment}'))")
        width = "return document.documentElement.scrollWidth"
        until(lambda: opened.execute_script(width) <= 390, "pictures to be as narrow as the phone")
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert opened.get_log("browser") == []


CONTRAST = """
const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const luminance = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((c) => linear(c / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const paper = luminance(getComputedStyle(document.body).backgroundColor);
const apart = (ink) => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
const least = (selector, property) => Math.min(
  ...[...document.querySelectorAll(selector)].map((e) => apart(luminance(getComputedStyle(e)[property]))));
return [
  least('.xtick text, .ytick text, .plot .gtitle, .plot .legendtext', 'fill'),
  least('#cells td, h2, figcaption, summary', 'color'), paper];
"""
"""The least contrast of words in pictures and of words on the page with the paper, and how light that is."""


@pytest.mark.slow
def test_a_dark_screen_has_dark_paper_that_everything_can_be_read_on_and_print_is_white(opened: Any) -> None:
    def media(**features: Any) -> None:
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", features)

    opened.execute_script("window.dispatchEvent(new Event('beforeprint'))")  # draws all
    opened.execute_script("window.dispatchEvent(new Event('afterprint'))")
    in_light = opened.execute_script(CONTRAST)
    assert in_light[0] > 4.5
    assert in_light[2] > 0.9
    try:
        media(features=[{"name": "prefers-color-scheme", "value": "dark"}])
        until(lambda: opened.execute_script(CONTRAST)[0] > 4.5, "pictures to be drawn for a dark screen")
        _, words, paper = opened.execute_script(CONTRAST)
        assert words > 4.5
        assert paper < 0.05
        media(media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        opened.execute_script("window.dispatchEvent(new Event('beforeprint'))")
        in_print = opened.execute_script(CONTRAST)
        assert in_print[0] > 4.5
        assert in_print[2] > 0.9
    finally:
        media(media="", features=[])
        opened.execute_script("window.dispatchEvent(new Event('afterprint'))")
    until(lambda: opened.execute_script(CONTRAST)[0] > 4.5, "pictures to be light again")


@pytest.mark.slow
def test_print_cuts_no_table_and_no_picture(on_paper: Any) -> None:
    over = """const paper = document.querySelector('main').getBoundingClientRect().right + 1;
        return [...document.querySelectorAll('table, .main-svg, pre, code, dl')]
          .filter(e => e.getBoundingClientRect().right > paper).map(e => e.outerHTML.slice(0, 80))"""
    until(lambda: on_paper.execute_script(over) == [], "pictures to be drawn for the paper")
    hidden = "return getComputedStyle(document.querySelector(arguments[0])).display"
    assert on_paper.execute_script(hidden, "#filters") == "none"
    assert on_paper.execute_script(hidden, "#cells") == "table"


@pytest.mark.skipif(PDFTOTEXT is None, reason="no pdftotext on this machine")
def test_print_repeats_the_headings_of_a_table_on_every_sheet(opened: Any, tmp_path: Path) -> None:
    opened.execute_script("document.querySelectorAll('header, main > :not(#ranking)').forEach(e => e.remove())")
    sheet = {"paperWidth": 8.27, "paperHeight": 4.0, "marginTop": 0.4, "marginBottom": 0.4}
    printed = tmp_path / "page.pdf"
    printed.write_bytes(base64.b64decode(opened.execute_cdp_cmd("Page.printToPDF", sheet)["data"]))
    text = subprocess.run([str(PDFTOTEXT), "-layout", printed, "-"], capture_output=True, text=True, check=True).stdout
    sheets = [one.splitlines() for one in text.split("\f") if one.strip()]
    of_table = [lines for lines in sheets if any("xgb" in line for line in lines)]
    assert len(of_table) >= 3
    for lines in of_table:
        assert any("device" in line and "tuner" in line for line in lines)


CANARY = (
    "return window.canary === undefined && !document.querySelector('img, [onload], [onerror], a[href^=\"javascript\"]')"
)


def test_nothing_that_others_named_runs(browser: Any, tmp_path: Path) -> None:
    """Every name in it is an attack; all pictures are drawn, and each shows what the pointer is over."""
    opened = shown(browser, written(tmp_path, hostile(tmp_path)))
    opened.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    plots = opened.execute_script("return document.querySelectorAll('.plot').length")
    assert opened.execute_script("return document.querySelectorAll('.plot .main-svg').length") >= plots >= 10
    opened.execute_script(
        """for (const plot of document.querySelectorAll('.plot'))
             if (plot.data[0].type === 'bar') Plotly.Fx.hover(plot, [{curveNumber: 0, pointNumber: 0}]);"""
    )
    assert opened.execute_script("return document.querySelectorAll('.hoverlayer .hovertext').length") > 0
    assert opened.execute_script(CANARY)
    links = opened.execute_script("return [...document.querySelectorAll('a')].map(a => a.protocol)")
    assert set(links) <= {"file:", "http:", "https:"}
    texts = opened.execute_script(
        "return [...document.querySelectorAll('.plot text')].map(t => t.textContent).join(' ')"
    )
    assert "<b>q</b>" in texts
    assert opened.get_log("browser") == []


@pytest.mark.slow
def test_nor_does_a_script_that_got_into_the_page(browser: Any, page: str, tmp_path: Path) -> None:
    """The second wall: as if a name had not been escaped."""
    text = Path(page.removeprefix("file://")).read_text(encoding="utf-8")
    got_in = "<script>window.canary = 1</script><img src='data:,' onerror='window.canary = 1'>"
    path = tmp_path / "index.html"
    path.write_text(text.replace("<main>", f"<main>{got_in}"), encoding="utf-8")
    opened = shown(browser, path.as_uri())
    assert opened.execute_script("return window.canary === undefined")
    refused = [entry["message"] for entry in opened.get_log("browser")]
    assert refused
    assert all("Content Security Policy" in message for message in refused)


def test_the_page_of_an_overlay_draws_and_runs_nothing_of_theirs(browser: Any, tmp_path: Path) -> None:
    named = {"layer": ALL, "configurations": [f"a{ALL}", "b"], "devices": [f"d{ALL}", "e"]}
    theirs = judge(layer([[1e-3, 2e-3], [2e-3, 1e-3]], **named))
    path = tmp_path / "overlay.html"
    path.write_text(overlay_page([*overview([theirs]), *layer_figures(theirs)], ALL), encoding="utf-8")
    browser.get_log("browser")
    browser.get(path.as_uri())
    until(lambda: browser.execute_script("return document.querySelectorAll('.main-svg').length") >= 3, "drawn")
    assert browser.execute_script(CANARY)
    assert browser.get_log("browser") == []
