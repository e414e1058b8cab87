"""`sweep compare DIR_A DIR_B`: what it reads, what it shows, and how it ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

import sweep
from sweep.cli import main
from tests.api.made_sweep import MadeCell, make_sweep

RULE = ("--fail-on", "slower > 5%")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline, one that is as fast, one with a slower cell, and one with nothing in common."""
    folder = tmp_path_factory.mktemp("made")
    make_sweep(folder / "base", [MadeCell("none", 2.0), MadeCell("xgb", 1.0)])
    make_sweep(folder / "same", [MadeCell("none", 2.0), MadeCell("xgb", 1.0), MadeCell("ga", 3.0)])
    make_sweep(folder / "slow", [MadeCell("none", 2.0), MadeCell("xgb", 1.25), MadeCell("ga", None)])
    make_sweep(folder / "other", [MadeCell("none", 2.0, model="another|net")])
    make_sweep(folder / "tainted", [MadeCell("none", 2.2, is_tainted=True), MadeCell("xgb", 1.2, is_tainted=True)])
    return folder


@pytest.mark.parametrize(
    ("new", "code", "said"),
    [
        ("same", 0, "PASSED: slower > 5% of no cell"),
        ("slow", 1, "FAILED: slower > 5%: net native xgb O3 here"),
        ("other", 3, "CANNOT BE TOLD: slower > 5%: the two sweeps share no cell"),
        ("tainted", 3, "CANNOT BE TOLD: slower > 5%: open for 2 of 2 cells; `--measure-more` measures both in turns"),
    ],
)
def test_the_exit_code_is_the_answer_to_the_rule(
    made: Path, capsys: pytest.CaptureFixture[str], new: str, code: int, said: str
) -> None:
    assert main(["compare", str(made / "base"), str(made / new), *RULE]) == code
    assert said in " ".join(capsys.readouterr().out.split())


def test_without_a_rule_it_ends_with_0_unless_nothing_can_be_told(made: Path) -> None:
    assert main(["compare", str(made / "base"), str(made / "slow")]) == 0
    assert main(["compare", str(made / "base"), str(made / "other")]) == 3


def test_files_for_a_pull_request(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--markdown", str(tmp_path / "new" / "gate.md"), "--junit", str(tmp_path / "junit.xml")]
    assert main(["compare", str(made / "base"), str(made / "slow"), *RULE, *files, "--json"]) == 1

    told = json.loads(capsys.readouterr().out)
    assert told["fail_on"] == {"rule": "slower > 5%", "outcome": "broken"}
    text = (tmp_path / "new" / "gate.md").read_text()
    assert "| net native xgb O3 here | 1.00 | 1.25 | 1.2" in text
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "2", "failures": "1", "errors": "0", "skipped": "0",
    }  # fmt: skip
    (failed,) = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == "net native xgb O3 here"


@pytest.mark.parametrize("new", ["other", "tainted"])
def test_what_cannot_be_told_is_an_error_in_junit(made: Path, tmp_path: Path, new: str) -> None:
    main(["compare", str(made / "base"), str(made / new), *RULE, "--junit", str(tmp_path / "junit.xml")])
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert int(suite.get("errors", "0")) == len(suite) == len(suite.findall("testcase/error")) > 0


def test_a_side_may_be_a_zip_file(made: Path, tmp_path: Path) -> None:
    packed = shutil.make_archive(str(tmp_path / "base"), "zip", made, "base")
    found = sweep.compare(packed, made / "slow", fail_on="slower > 5%", only="tuner=xgb")
    assert [(cell.name, str(cell.verdict)) for cell in found.cells] == [("net native xgb O3 here", "SLOWER")]
    assert found.verdict is sweep.Verdict.SLOWER


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("{}/base", "{}/nothing"),
            ["CELL|DIR_B: is no sweep that is there", "two cells of DIR", "its URI or zip file"],
        ),
        (("{}/base", "{}"), ["DIR_B", "is not a sweep directory", "a sweep directory, the URI or a zip file"]),
        (("{}/base", "{}/same", "--fail-on", "worse"), ["--fail-on: is no rule", "slower > 5%"]),
        (("{}/base", "{}/same", "--format", "yaml"), ["--format: no such format", "junit"]),
        (("{}/base", "{}/same", "--only", "tuna=xgb"), ["names no axis", "tuner"]),
        (("{}/base", "xgb", "none", "--fail-on", "slower > 5%"), ["--fail-on: goes with two sweeps", "DIR_A DIR_B"]),
    ],
)
def test_bad_input_is_refused_in_a_line(
    made: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: list[str]
) -> None:
    assert main(["compare", *(argument.format(made) for argument in arguments)]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    for word in words:
        assert word in said.err


def test_of_a_slowed_cell_the_upper_end_is_shown_and_the_side_named(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["compare", str(made / "base"), str(made / "tainted"), "--format", "markdown"])
    said = capsys.readouterr().out
    for row in sweep.open_results(made / "tainted").to_pylist():
        _, new, *_ = said.split(f"| {row['cell_name']} | ")[1].split(" | ")
        shown = float(new.removeprefix("\\<= "))
        assert row["latency_ms_median"] < row["latency_ms_ci_high"] <= shown < 1.01 * row["latency_ms_ci_high"]
    assert "and 1 more: the new one was slowed, so its times are the most that it takes" in said
