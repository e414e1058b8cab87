"""Who is told how a run ended, with what, and when not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import sweep
from sweep.api.commands import run as run_command
from sweep.api.notifying import run_ending
from sweep.api.notifying.run_ending import why_not_obeyed
from sweep.errors import DeviceLost, StudyError
from sweep.study.gate import load_cluster, load_study

STUDY = "study: told\nmodels: [onnx-light:squeezenet]\nopt_levels: [0, 3]\nruntimes: [tvm]\ntags: {team: vision}\n"
CLUSTER = "name: c\nengine: simulated\nsimulate: {devices: 1}\nmlflow: {enabled: false}\n"
TELL = "notify: {command: [sh, -c, 'cat >> told']}\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY + TELL)
    (tmp_path / "cluster.yaml").write_text(CLUSTER)


def run(folder: Path, study: str = "study.yaml") -> Any:
    return sweep.run(load_study(folder / study), load_cluster(folder / "cluster.yaml"), out=folder / "out")


def told(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "told").read_text())
    return found


def test_a_run_tells_status_counts_best_and_folder_of_the_study_and_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cluster.yaml").write_text(CLUSTER + 'notify: {webhook: "${LAB_HOOK}"}\n')
    monkeypatch.setenv("LAB_HOOK", "https://chat.example.com/token")
    posted: list[tuple[str, bytes]] = []
    monkeypatch.setattr(run_ending, "post", lambda *given: posted.append(given))
    run(tmp_path)
    message = told(tmp_path)
    [(address, same)] = posted
    assert address == "https://chat.example.com/token"
    assert json.loads(same) == message
    assert message["version"] == 1
    assert (message["study"], message["status"], message["executed"] > 0) == ("told", "done", True)
    assert message["counts"] == {"done": 2}
    assert message["tags"] == {"team": "vision"}
    assert message["folder"] == str(tmp_path / "out")
    [best] = message["best"]
    assert best["latency_ms"] > 0
    assert best["cell"].startswith("squeezenet ")


def test_a_run_that_dies_tells_of_what_and_hides_what_is_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise DeviceLost("nobody at http://me:password@board")

    monkeypatch.setattr(run_command, "drive", die)
    with pytest.raises(DeviceLost):
        run(tmp_path)
    message = told(tmp_path)
    assert (message["status"], message["error_class"]) == ("error", "DeviceLost")
    assert message["error"] == "nobody at http://***@board"
    assert "password" not in (tmp_path / "told").read_text()


def test_a_run_that_is_refused_tells_nothing_of_another_studys_cells(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(STUDY.replace("told", "other"))
    run(tmp_path, "other.yaml")
    with pytest.raises(StudyError, match="other"):
        run(tmp_path)
    message = told(tmp_path)
    assert (message["study"], message["status"]) == ("told", "error")
    assert (message["counts"], message["best"]) == ({}, [])


def test_trouble_is_a_warning_without_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY + "notify: {command: 'false', webhook: '${LAB_HOOK}'}\n")
    monkeypatch.setenv("LAB_HOOK", "http://127.0.0.1:1/token")
    assert run(tmp_path).status == "done"
    assert f"the command of `notify` in {tmp_path / 'study.yaml'} ended with 1" in caplog.text
    assert "the webhook of `notify`" in caplog.text
    assert "was not reached" in caplog.text
    assert "token" not in caplog.text
    monkeypatch.delenv("LAB_HOOK")
    caplog.clear()
    run(tmp_path)
    assert "names a variable that is not set" in caplog.text


def test_a_dollar_in_the_address_itself_is_no_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "study.yaml").write_text(STUDY + "notify: {webhook: '${LAB_HOOK}'}\n")
    monkeypatch.setenv("LAB_HOOK", "https://chat.example.com/flow?$api=1")
    posted: list[str] = []
    monkeypatch.setattr(run_ending, "post", lambda address, _: posted.append(address))
    run(tmp_path)
    assert posted == ["https://chat.example.com/flow?$api=1"]


def test_reading_tells_nobody_and_the_study_in_a_sweep_directory_is_not_obeyed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path)
    (tmp_path / "told").unlink()
    in_folder = tmp_path / "out" / "study.yaml"
    load_study(in_folder)
    sweep.best(tmp_path / "out")
    run(tmp_path, "out/study.yaml")
    assert not list(tmp_path.rglob("told"))
    assert f"nobody is told as `notify` in {in_folder} says: it lies in a sweep directory" in caplog.text


def test_another_users_file_is_not_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_not_obeyed(tmp_path / "study.yaml") is None
    owner = (tmp_path / "study.yaml").stat().st_uid
    real = Path.stat

    def of_another(path: Path, **how: Any) -> os.stat_result:
        found = real(path, **how)
        return os.stat_result([*found[:4], owner + 7, *found[5:10]]) if path.name == "study.yaml" else found

    monkeypatch.setattr(Path, "stat", of_another)
    assert why_not_obeyed(tmp_path / "study.yaml") == "another user owns it"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("notify: {}", "notify: names nobody"),
        ("notify: {webhook: 'file:///etc/token'}", "notify.webhook: is not an address of http or https"),
        ("notify: {webhook: 'https://me:token@host/'}", "notify.webhook: holds a login"),
        ("notify: {webhook: 'http://a b/token'}", "notify.webhook: is no address"),
        ("notify: {command: []}", "notify.command: is empty"),
        ("notify: {command: 'a \"b'}", "notify.command: has a quote that is not closed"),
        ("notify: {mail: me}", "notify.mail: is not a key here"),
    ],
)
def test_a_slip_is_told_in_a_line_without_the_address(tmp_path: Path, written: str, said: str) -> None:
    for name, text, load in (("study.yaml", STUDY, load_study), ("cluster.yaml", CLUSTER, load_cluster)):
        (tmp_path / name).write_text(f"{text}{written}\n")
        with pytest.raises(StudyError) as refused:
            load(tmp_path / name)
        line = text.count("\n") + 1
        assert f"{name}:{line}: {said}" in str(refused.value)
        assert "token" not in str(refused.value)


def test_a_saved_study_keeps_it(tmp_path: Path) -> None:
    study = load_study(tmp_path / "study.yaml")
    assert load_study(sweep.save_study(study, tmp_path / "copy.yaml")).notify == study.notify
