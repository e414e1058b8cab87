"""The table of a calibration that a former sweep has saved, or that anybody has written: read and checked.

`ranges.json` says what each tensor of a network was seen to hold; `histograms.npz` beside it how often, which some ways
to find a range take. What the network alone tells, as the names of its tensors, is checked by the stage `calibrate`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep.errors import StudyError
from sweep.files.npz import array_headers
from sweep.files.typed_json import WrongContent, parsed
from sweep.study.importers.importer import WrittenModel, hash_of, sha256_of

__all__ = ["BINS", "HISTOGRAMS", "RANGES", "VERSION", "SavedTable", "content_of", "read_saved_table"]

RANGES, HISTOGRAMS = "ranges.json", "histograms.npz"
VERSION = 1
BINS = 2048
"""Of absolute values: a histogram has twice as many."""
_RESULTS = Path("artifacts", "calibrate")
"""Of a sweep directory, where its tables are."""
_LIMITS = ("min", "max")
_MOST = sys.float_info.max
"""Of a range: whole numbers of JSON may be larger than any float."""


@dataclass(frozen=True, slots=True)
class SavedTable:
    """A table that a study names."""

    sha256: str
    """Of its files: the work that rests on it is known by that, wherever they lie."""
    ranges: Path = field(compare=False)
    """Where it is on this machine; `HISTOGRAMS` is beside it, where there is one."""
    written: str = field(compare=False)
    """As the study has it."""
    has_histograms: bool = True
    network_sha256: str | None = None
    """Hash of the files of the network that it was made of; None where it does not say."""
    network: str = ""
    """What that was called."""

    @property
    def is_named_by_folder(self) -> bool:
        """Whether the study names the folder, and not the file in it."""
        return Path(self.written).name != self.ranges.name


def read_saved_table(at: WrittenModel) -> SavedTable:
    """The table that a person means: `ranges.json`, whatever it is called now, or its folder.

    Raises StudyError with the file and the line of what is wrong in it.
    """
    ranges = _file(at)
    about = _parsed(ranges)
    network = _checked(about, ranges)
    histograms = ranges.parent / HISTOGRAMS
    has_histograms = histograms.is_file()
    if has_histograms:
        _check_histograms(histograms, len(about["activations"]))
    files = [ranges, *([histograms] if has_histograms else [])]
    return SavedTable(hash_of(files, at), ranges, at.source, has_histograms, *network)


def content_of(ranges: Path) -> str:
    """The hash of a table's files as they are now. Raises OSError."""
    histograms = ranges.parent / HISTOGRAMS
    return sha256_of([ranges, *([histograms] if histograms.is_file() else [])])


def _file(at: WrittenModel) -> Path:
    if "\0" in at.source:
        raise at.refused("is not a path")
    path = at.study_file.parent / Path(at.source).expanduser()
    allowed = f"{RANGES} of {_RESULTS}/ID of a sweep, or its folder ({path.absolute()})"
    try:
        if (path / RANGES).is_file():
            return path / RANGES
        if path.is_file():
            return path
        if path.is_dir():
            found = sorted(folder.parent.name for folder in path.glob(f"{_RESULTS}/*/{RANGES}"))
            if found:
                raise at.refused("is a whole sweep", f"one of its tables: {_RESULTS}/{found[0]}{_more(found)}")
            raise at.refused(f"is a folder without {RANGES}", allowed)
    except OSError as error:
        raise at.refused(f"cannot be read: {error.strerror}", allowed) from None
    raise at.refused("does not exist", allowed)


def _more(found: list[str]) -> str:
    return f", or one of {len(found) - 1} others beside it" if len(found) > 1 else ""


def _parsed(path: Path) -> dict[str, Any]:
    try:
        about = parsed(path.read_bytes())
    except WrongContent as error:
        raise StudyError(f"is no table of a calibration: it {error}", file=path, allowed=f"a {RANGES}") from None
    except OSError as error:
        raise StudyError(f"cannot be read: {error.strerror}", file=path) from None
    if not isinstance(about, dict) or not isinstance(about.get("activations"), dict) or not about["activations"]:
        problem = "is no table of a calibration: it has no ranges"
        raise StudyError(problem, file=path, allowed='{"activations": {TENSOR: {"min": ..., "max": ...}}}')
    return about


def _checked(about: Mapping[str, Any], path: Path) -> tuple[str | None, str]:
    """Hash and name of the network that the table is of, where it says so."""

    def refused(problem: str, key: str, value: object, allowed: str) -> StudyError:
        return StudyError(problem, file=path, key=key, value=value, allowed=allowed)

    version = about.get("version", VERSION)
    if not _is_whole(version) or version < 1:
        raise refused("is no version", "version", version, str(VERSION))
    if version > VERSION:
        raise refused("is of a newer version of sweep", "version", version, f"up to {VERSION}; update this package")
    if (bins := about.get("bins", BINS)) != BINS:
        raise refused("is another number of bins", "bins", bins, str(BINS))
    if not _is_whole(samples := about.get("samples", 0)) or samples < 0:
        raise refused("is no number of samples", "samples", samples, "a whole number from 0 on")
    if not isinstance(source := about.get("source", ""), str):
        raise refused("is no text", "source", source, "the name of a data set")
    for name, entry in about["activations"].items():
        _check_range(entry, path, f"activations.{name}")
    weights = about.get("weights", {})
    if not isinstance(weights, dict):
        raise refused("is no mapping", "weights", type(weights).__name__, "ranges of weights by name, or none")
    for name, entry in weights.items():
        _check_range(entry, path, f"weights.{name}")
    unbounded = about.get("unbounded", [])
    if not isinstance(unbounded, list) or not all(isinstance(name, str) for name in unbounded):
        raise refused("is no list of names", "unbounded", unbounded, "tensors that have no range")
    network = about.get("network", {})
    told = [network.get(key, "") for key in ("sha256", "name")] if isinstance(network, dict) else [network]
    if not all(isinstance(one, str) for one in told) or len(told) < 2:
        raise refused("does not say which network", "network", network, '{"name": TEXT, "sha256": TEXT}')
    return told[0] or None, told[1]


def _check_range(entry: object, path: Path, key: str) -> None:
    allowed = '{"min": NUMBER, "max": NUMBER}'
    if not isinstance(entry, dict):
        raise StudyError("is no range", file=path, key=key, value=entry, allowed=allowed)
    for name in _LIMITS:
        value = entry.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _MOST:
            problem = "has none" if value is None else "is no finite number"
            raise StudyError(problem, file=path, key=f"{key}.{name}", value=value, allowed=allowed)
    if entry["min"] > entry["max"]:
        problem, allowed = f"is above its max, {entry['max']}", "no more than that"
        raise StudyError(problem, file=path, key=f"{key}.min", value=entry["min"], allowed=allowed)


def _check_histograms(path: Path, activations: int) -> None:
    wanted = (activations, 2 * BINS)
    allowed = (
        f"an array `histograms` of whole numbers {list(wanted)}, one row an activation of {RANGES}; or no such file"
    )
    try:
        headers = array_headers(path)
    except (OSError, ValueError) as error:
        problem = (
            f"cannot be read: {error.strerror}" if isinstance(error, OSError) else "is no .npz file, or a damaged one"
        )
        raise StudyError(problem, file=path, allowed=allowed) from None
    shape, dtype = headers.get("histograms", ((), ""))
    if shape != wanted or not dtype.startswith(("int", "uint")):
        found = f"{dtype} {list(shape)}" if dtype else ", ".join(headers) or "nothing"
        raise StudyError("does not fit the table", file=path, value=found, allowed=allowed)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
