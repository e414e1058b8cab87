"""What a study names as `module:attribute` is told before it is imported: once, with the file that it comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.study.reading import named_code


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named_code, "_told", set())


def test_the_file_of_a_module_is_told_once_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "told_tuner.py").write_text("raise AssertionError('imported')")
    (tmp_path / "told_package").mkdir()
    (tmp_path / "told_package/__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    study = tmp_path / "study.yaml"

    for import_path in ("told_tuner:Slow", "told_tuner:Slow", "told_package.inner:Slow"):
        named_code.tell(import_path, study)

    assert [record.message for record in caplog.records] == [
        f"{study} loads told_tuner:Slow from {tmp_path}/told_tuner.py",
        f"{study} loads told_package.inner:Slow from {tmp_path}/told_package/__init__.py",
    ]


@pytest.mark.parametrize(
    ("import_path", "told"),
    [
        ("json.decoder:JSONDecoder", "json/decoder.py"),
        ("no_such_module_at_all:X", "from nowhere"),
        ("sys:path", "from this process"),
        ("..:x", "from nowhere"),
        ("sweep.search.genetic:GeneticStrategy", None),
    ],
)
def test_modules_of_all_sorts(import_path: str, told: str | None, caplog: pytest.LogCaptureFixture) -> None:
    named_code.tell(import_path, Path("study.yaml"))

    assert [record.message.endswith(told) for record in caplog.records] == ([] if told is None else [True])  # type: ignore[arg-type]
