"""Rules of the house that no linter knows: how large a module and a folder may be, and that a name means one thing.

That nothing is imported upwards or in a circle is import-linter's to say.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "sweep"
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))

MOST_LINES = 300
LONGER = {"planning/results.py": "the results of all kinds of stages, one class each, to be seen beside each other"}
MOST_MODULES = 15
"""Of a folder that has no inner folder."""
SAME_THING = {
    "compare": "the command, and what it does",
    "exec": "the command, and what it does",
    "farm": "the command's work, and the farm that it speaks of",
    "import_logs": "the command, and what it does",
    "measure": "the stage as it is planned, and the same work for an overlay",
    "mirror": "the command, and what it does",
    "network": "an overlay's network: measured, and judged",
    "overlay": "an overlay: asked for, found, judged and drawn",
    "results": "what stages result in, and what a sweep results in",
    "submit": "the command, and what it does",
}
"""Names that several modules have, and what they all mean."""


def test_a_module_can_be_read_in_one_go() -> None:
    lines = {str(path): (PACKAGE / path).read_text(encoding="utf-8").count("\n") for path in MODULES}
    assert {path for path, count in lines.items() if count > MOST_LINES} == LONGER.keys()


def test_a_large_folder_has_inner_folders() -> None:
    modules = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    parents = {path.parent.parent for path in MODULES}
    crowded = {str(folder): count for folder, count in modules.items() if count > MOST_MODULES}
    assert {folder: count for folder, count in crowded.items() if Path(folder) not in parents} == {}


def test_a_name_means_one_thing_in_every_room() -> None:
    places = defaultdict(list)
    for path in MODULES:
        if not path.name.startswith("__"):
            places[path.stem].append(str(path))
    several = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert {name: paths for name, paths in several.items() if name not in SAME_THING} == {}
    assert SAME_THING.keys() <= several.keys(), "what is alone now needs no leave"
