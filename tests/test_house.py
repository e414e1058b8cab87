"""Rules of the house that no linter knows: how large a module and a folder may be, and that a name means one thing.

That nothing is imported upwards or in a circle is import-linter's to say.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "sweep"
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))

MOST_LINES = 300
MOST_MODULES = 15
"""Of a folder that has no inner folder."""
COMMAND = {"cli", "api/commands"}
"""What a person writes, and what it does: a name in both is one command."""
SAME_THING = {
    "best": "the best cells: asked for, and shown",
    "farm": "the command's work, and the farm that it speaks of",
    "measure": "the stage as it is planned, and the same work for an overlay",
    "network": "an overlay's network: measured, and judged",
    "overlay": "an overlay: planned, asked for, found, judged and drawn",
    "reading": "of a row, and of a bundle",
    "results": "what stages result in, and what a sweep results in",
    "run": "the command, and the script of a bundle that does the same on a board",
    "texts": "of a report, and of a bundle",
    "writing": "of a report, and of a bundle",
}
"""Other names that several modules have, and what they mean in each place."""


def test_a_module_can_be_read_in_one_go() -> None:
    lines = {str(path): (PACKAGE / path).read_text(encoding="utf-8").count("\n") for path in MODULES}
    assert {path for path, count in lines.items() if count > MOST_LINES} == set()


def test_a_large_folder_has_inner_folders() -> None:
    modules = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    parents = {path.parent.parent for path in MODULES}
    crowded = {str(folder) for folder, count in modules.items() if count > MOST_MODULES and folder not in parents}
    assert crowded == set()


def test_a_name_means_one_thing_in_every_room() -> None:
    places = defaultdict(set)
    for path in MODULES:
        if not path.name.startswith("__"):
            places[path.stem].add(path.parent.as_posix())
    several = {name: folders for name, folders in places.items() if len(folders) > 1 and folders != COMMAND}
    assert {name: folders for name, folders in several.items() if name not in SAME_THING} == {}
