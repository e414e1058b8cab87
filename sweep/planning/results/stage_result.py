"""What every result of a stage has, and how it is read and written as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sweep.errors import PlanError
from sweep.files.confined import OutsideFolder, relative
from sweep.planning.results.json_record import JsonRecord, seldom

if TYPE_CHECKING:
    from random import Random

    from sweep.planning.stage import Stage

__all__ = ["StageResult", "input_of"]

R = TypeVar("R", bound="StageResult")

_FOLDERS = ("dir", "records_dir", "lib")
"""Keys of paths: whoever has written the ledger has written them, and what lies there is read, sent and loaded."""


@dataclass(frozen=True, slots=True)
class StageResult(JsonRecord):
    """What a stage has come to. A kind of stage has a subclass of its own; the plain one tells a folder alone."""

    dir: str | None = seldom(kw_only=True)
    """Folder of its files, relative to the sweep directory; None where it leaves none of its own."""
    files: Mapping[str, Sequence[Any]] | None = seldom(kw_only=True)
    """Checksums of its files (`sweep.files.checksums`); None where an earlier version has made them."""
    is_cut_short: bool = seldom(False, kw_only=True)
    """Whether it ended for want of time, with what it had: another run may go on."""

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> Self:
        """The record of a JSON object. Raises OutsideFolder for a folder that is not in the sweep directory."""
        for key in _FOLDERS:
            if payload.get(key):
                try:
                    relative(payload[key])
                except OutsideFolder as error:
                    raise OutsideFolder(f"{key} {payload[key]!r} {error}") from None
        return super(StageResult, cls).from_json(payload)

    @classmethod
    def of_job(cls, payload: Mapping[str, Any]) -> Self:
        """The result that a worker reports. Raises PlanError for a key that would be lost: a field is missing here."""
        if unknown := cls.unknown_keys(payload):
            raise PlanError(f"{cls.__name__} has no field for what the stage reports: {', '.join(unknown)}")
        return cls.from_json(payload)

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        """A plausible result of a stage that nobody performed. `draw`: seeded with the stage, for what varies."""
        return cls()

    def replayed_from(self, source: str) -> Self:
        """The same, told once more by the recording `source`."""
        return self

    @property
    def disturbances(self) -> Sequence[str]:
        """Why it is not to be trusted, in words; empty for a sound one."""
        return ()

    @property
    def key_figures(self) -> Mapping[str, Any]:
        """What a log tells of it."""
        return {}

    @property
    def files_dir(self) -> str | None:
        """Where a person finds what it has left, relative to the sweep directory."""
        return self.dir

    @property
    def needed_files(self) -> Sequence[str]:
        """Of its files, those that every version has made: without them it is of no use."""
        return ()

    @property
    def shown_file(self) -> str:
        """Of its files, the one to look at; empty for the folder of them."""
        return ""

    def folder(self) -> str:
        """Its `dir`. Raises PlanError where it has left no files."""
        if self.dir is None:
            raise PlanError(f"{type(self).__name__} has no folder of files")
        return self.dir


def input_of(inputs: Mapping[str, StageResult], role: str, of: type[R]) -> R:
    """The result that a stage was given for a role. Raises PlanError where there is none of this type."""
    result = inputs.get(role)
    if not isinstance(result, of):
        given = "none" if result is None else type(result).__name__
        raise PlanError(f"a stage needs a {role}, as {of.__name__}, and was given {given}")
    return result
