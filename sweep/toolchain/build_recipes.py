"""What a build tries, one after the other: the network as its level has it, then by recipes that do less.

LLVM and TVM's virtual machine refuse, or crash on, modules that every pass was content with. The network is built by
the next recipe then, and what was left out is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import LowerFailed
from sweep.toolchain.lowering import RECIPES, finish, lower
from sweep.toolchain.module_files import MODULE, read_module
from sweep.toolchain.pass_runs import LeftOut
from sweep.toolchain.task_extraction import extract_tasks

if TYPE_CHECKING:
    from sweep.toolchain.best_records import BestRecords
    from sweep.toolchain.crash_notes import Crash

__all__ = ["BuildRecipes", "Buildable"]

_IMPORT_DIR = "import_dir"


@dataclass(frozen=True, slots=True)
class Buildable:
    """A module that is ready to be built."""

    module: Any
    lowered: Any
    """The same before tuning records were applied."""
    tasks: Sequence[Mapping[str, Any]]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class BuildTry:
    """One recipe of a build."""

    level: int
    with_last_passes: bool

    @property
    def at(self) -> str:
        """What is noted while it is built."""
        return f"level {self.level}" + ("" if self.with_last_passes else " without the passes of its build")


class BuildRecipes:
    """The recipes by which a lowered network can be built."""

    def __init__(self, lower_dir: Path, lowering: Mapping[str, Any], target: Any, crashes: Sequence[Crash]) -> None:
        """lower_dir: with the module. lowering: its `lowering.json`. crashes: of earlier tries of the job."""
        self._lower_dir, self._lowering, self.target = lower_dir, lowering, target
        self.crashes = crashes
        self.options: Mapping[str, Any] = lowering["options"]
        self.level = int(lowering.get("level", self.options["opt_level"]))

    def tries(self) -> Iterator[BuildTry]:
        """In the order in which they are tried. Below its own level a network is lowered anew from its import."""
        yield BuildTry(self.level, with_last_passes=True)
        if RECIPES[self.level].at_build:
            yield BuildTry(self.level, with_last_passes=False)
        if self._imported is not None:
            for level in range(self.level - 1, -1, -1):
                yield BuildTry(level, with_last_passes=True)

    def read(self, one: BuildTry) -> Any:
        """The module that a try begins with. Raises what `read_module` does, which says nothing of the network."""
        folder = self._lower_dir if one.level == self.level else self._imported
        assert folder is not None
        return read_module(folder)

    def make(self, one: BuildTry, module: Any, best: BestRecords, why: LeftOut | None, scratch: Path) -> Buildable:
        """The module of a try, with the best tuning records.

        module: of `read`. why: the first refusal, where this is not the first try. scratch: a folder for what is not
        kept. Raises LowerFailed.
        """
        left_out: list[LeftOut] = []
        tasks, lowered = self._lowering["tasks"], module
        if one.level != self.level:
            again = lower(module, self.options, self.target, self.crashes, below=one.level + 1)
            if again.level != one.level:
                raise LowerFailed(f"level {one.level} refuses the network")
            lowered, left_out = again.module, list(again.left_out)
            tasks = extract_tasks(lowered, self.target, scratch / f"tasks-{one.level}")
        if why is not None:
            left_out[:0] = self._given_up(one, why)
        tuned = best.apply(lowered, self.target, one.level)
        module = tuned.module
        if one.with_last_passes:
            module, refused = finish(module, one.level, self.target, self.crashes)
            left_out.extend(refused)
        return Buildable(module, tuned.before, tasks, tuple(left_out))

    def _given_up(self, one: BuildTry, why: LeftOut) -> list[LeftOut]:
        if one.level < self.level:
            return [LeftOut(f"level {level}", why.reason) for level in range(self.level, one.level, -1)]
        return [LeftOut.because(name, why.reason) for name in RECIPES[self.level].at_build]

    @property
    def _imported(self) -> Path | None:
        """The folder of the import; None where an older version wrote the lowering, or it is gone."""
        named = self._lowering.get(_IMPORT_DIR)
        folder = self._lower_dir / named if named else None
        return folder if folder is not None and (folder / MODULE).exists() else None
