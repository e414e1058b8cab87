"""A saved table takes the place of samples, for the network that it is of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.errors import CalibrateFailed
from sweep.study.calibration_table import content_of
from sweep.toolchain.quantisation.qdq_network import quantised
from sweep.toolchain.quantisation.range_table import write_table
from sweep.toolchain.quantisation.saved_table import take_saved_table
from tests.networks import write_tiny
from tests.toolchain.quantisation.networks_with_ranges import Network, calibrated, options


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return calibrated(write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.onnx"))


@pytest.fixture
def saved(tiny: Network, tmp_path: Path) -> Path:
    """The `ranges.json` of the table of `tiny`."""
    (tmp_path / "saved").mkdir()
    write_table(tiny[1], tiny[0], tmp_path / "saved", {"name": "tiny", "sha256": "ab"})
    return tmp_path / "saved" / "ranges.json"


def _taken(ranges: Path, model: Any) -> Any:
    folder = ranges.parent.parent / "taken"
    folder.mkdir(exist_ok=True)
    return take_saved_table(ranges, content_of(ranges), model, folder)


@pytest.mark.parametrize("calibrate", ["minmax", "percentile", "kl", "mse"])
def test_the_same_network_comes_of_it_byte_by_byte(tiny: Network, saved: Path, calibrate: str) -> None:
    model, table = tiny
    asked = options(calibrate=calibrate)
    again = quantised(model, _taken(saved, model), asked)
    first = quantised(model, table, asked)
    assert again.model.SerializeToString() == first.model.SerializeToString()
    assert again.parameters == first.parameters


def test_its_files_are_left_as_they_were(tiny: Network, saved: Path) -> None:
    _taken(saved, tiny[0])
    copied = saved.parent.parent / "taken"
    for name in ("ranges.json", "histograms.npz", "network.onnx"):
        assert (copied / name).read_bytes() == (saved.parent / name).read_bytes()


def test_ranges_alone_are_enough_for_minmax(tiny: Network, saved: Path) -> None:
    (saved.parent / "histograms.npz").unlink()
    about = json.loads(saved.read_text())
    saved.write_text(json.dumps({"activations": about["activations"]}))
    found = quantised(tiny[0], _taken(saved, tiny[0]), options())
    assert found.parameters == quantised(tiny[0], tiny[1], options()).parameters
    assert not (saved.parent.parent / "taken" / "histograms.npz").exists()


def _renamed(about: dict[str, Any]) -> None:
    about["activations"]["rr"] = about["activations"].pop("r")


def _spoilt(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        about = json.loads(path.read_text())
        change(about)
        path.write_text(json.dumps(about))

    return spoil


def _negative(path: Path) -> None:
    with np.load(path.parent / "histograms.npz") as stored:
        counts = stored["histograms"]
    counts[1, 7] = -4
    np.savez(path.parent / "histograms.npz", histograms=counts)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            _spoilt(_renamed),
            "another network: it has a range of rr, which is no tensor of this one, did you mean 'r'",
        ),
        (
            _spoilt(lambda about: about["weights"]["kernel"].update(max=9.0)),
            "its weight kernel has the max 9, and",
        ),
        (_spoilt(lambda about: about["weights"]["kernel"].update(shape=[8, 3, 5, 5])), r"has the shape \[8, 3, 5, 5\]"),
        (
            _spoilt(lambda about: about["weights"].update(k={"min": 0, "max": 1})),
            "k, which is no weight of this one",
        ),
        (_negative, "has a histogram that counts -4 values"),
    ],
)
def test_what_is_of_another_network_is_refused(
    tiny: Network, saved: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(saved)
    with pytest.raises(CalibrateFailed, match=message) as raised:
        _taken(saved, tiny[0])
    assert str(saved) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_tensor_without_a_range_is_told(tiny: Network, saved: Path) -> None:
    (saved.parent / "histograms.npz").unlink()
    _spoilt(lambda about: about["activations"].pop("y"))(saved)
    with pytest.raises(CalibrateFailed, match=r"it has no range of y, a tensor of Gemm_\d"):
        _taken(saved, tiny[0])


def test_weights_of_another_seed_are_another_network(saved: Path, tmp_path: Path) -> None:
    other, _ = calibrated(write_tiny(tmp_path / "other.onnx", seed=1))
    with pytest.raises(CalibrateFailed, match="is of another network: its weight kernel has the min"):
        _taken(saved, other)


def test_a_table_that_has_changed_since_the_study_was_read_is_not_taken(tiny: Network, saved: Path) -> None:
    sha256 = content_of(saved)
    _spoilt(lambda about: about.update(samples=3))(saved)
    with pytest.raises(CalibrateFailed, match="is not what it was when the study was read"):
        take_saved_table(saved, sha256, tiny[0], saved.parent.parent)
    saved.unlink()
    with pytest.raises(CalibrateFailed, match="cannot be read"):
        take_saved_table(saved, sha256, tiny[0], saved.parent.parent)
