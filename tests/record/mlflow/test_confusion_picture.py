"""The picture of a confusion matrix among a run's artifacts."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from sweep.record.mlflow.client_writer import keep
from sweep.record.mlflow.confusion_picture import confusion_svg

TOLD = {
    "classes": 3,
    "samples": 9,
    "correct": 7,
    "confusion": [[0, 0, 4], [1, 1, 3], [1, 2, 1], [2, 0, 1]],
    "class_names": ["<b>", "dog", "owl"],
}


def test_it_has_each_count_where_truth_and_guess_meet() -> None:
    drawn = ElementTree.fromstring(confusion_svg(TOLD) or "")
    texts = [
        (element.text, float(element.get("x", 0)), float(element.get("y", 0)))
        for element in drawn.iter()
        if element.text
    ]
    at = {text: (x, y) for text, x, y in texts}
    assert {"<b>", "dog", "owl"} <= set(at)
    counts = [(text, x, y) for text, x, y in texts if text and text.isdigit()]
    assert sorted(int(text) for text, *_ in counts) == [1, 1, 3, 4]
    (four,) = (one for one in counts if one[0] == "4")
    assert four[1] < min(x for text, x, _ in counts if text == "3")
    by_row = {y for *_, y in counts}
    assert len(by_row) == 3


def test_a_long_name_is_cut_between_its_letters() -> None:
    drawn = ElementTree.fromstring(confusion_svg({**TOLD, "class_names": ["elevenchars<&", "dog", "owl"]}) or "")
    assert "elevenchars<" in {element.text for element in drawn.iter()}


def test_it_lies_beside_the_cell(tmp_path: Path) -> None:
    keep({"stages": {"evaluate": TOLD}}, str(tmp_path / "with"))
    keep({"stages": {}}, str(tmp_path / "without"))
    assert sorted(path.name for path in (tmp_path / "with").iterdir()) == ["cell.json", "confusion.svg"]
    assert [path.name for path in (tmp_path / "without").iterdir()] == ["cell.json"]


def test_a_thousand_classes_are_not_drawn() -> None:
    assert confusion_svg({**TOLD, "classes": 1000}) is None
    assert confusion_svg({}) is None
