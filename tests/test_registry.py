"""The registry of what others may add."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from sweep.errors import StudyError
from sweep.registry import Registry, attribute_at
from tests.seams.installed import install_toys


def shelf() -> Registry[object]:
    return Registry("toy", "sweep.toys", {"pi": "math:pi", "tau": math.tau})


def test_a_shipped_one_is_imported_on_first_use_and_an_object_is_taken_as_it_is() -> None:
    assert shelf().get("pi") == math.pi
    assert shelf().get("tau") == math.tau
    assert shelf().names() == ("pi", "tau")
    assert list(shelf()) == [math.pi, math.tau]


def test_an_unknown_name_is_refused_with_what_there_is() -> None:
    with pytest.raises(StudyError, match=r"toys\[1\]: is no toy, did you mean 'pi'\? \(got 'pie'\); allowed: pi, tau"):
        shelf().get("pie", key="toys[1]")


def test_one_that_cannot_be_imported_is_refused_with_the_reason() -> None:
    broken: Registry[object] = Registry("toy", "sweep.toys", {"gone": "no_such_module:thing"})
    with pytest.raises(StudyError, match="cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"):
        broken.get("gone")


def test_a_program_registers_its_own_for_a_while_and_replaces_nothing() -> None:
    toys = shelf()
    with toys.registered("own", 1):
        assert ("own" in toys, toys.get("own"), toys.names()[-1]) == (True, 1, "own")
        with pytest.raises(ValueError, match="there is a toy 'own' already"):
            toys.register("own", 2)
    assert "own" not in toys
    with pytest.raises(ValueError, match="there is a toy 'pi' already"):
        toys.register("pi", 3)


def test_a_package_that_comes_later_is_found_when_it_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toys = shelf()
    assert toys.all() == (math.pi, math.tau)
    install_toys(tmp_path, "sweep.toys", {"e": "math:e"})
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        toys.look_again()
        assert toys.all() == (math.pi, math.tau, math.e)
    toys.look_again()
    assert toys.all() == (math.pi, math.tau)
    with pytest.raises(StudyError, match="is no toy"):
        toys.get("e")


def test_an_attribute_may_lie_deep() -> None:
    assert attribute_at("os:path.sep") == "/"


class Own:
    """Something to register."""


def test_an_import_path_is_told_without_importing_what_stands_there() -> None:
    toys: Registry[object] = Registry("toy", "sweep.toys", {"gone": "no_such_module:thing", "number": 3})
    assert toys.import_path("gone") == "no_such_module:thing"
    assert (toys.import_path("number"), toys.import_path("nobody's")) == (None, None)
    with toys.registered("own", Own):
        assert toys.import_path("own") == f"{__name__}:Own"


def test_packages_are_looked_through_once_for_a_search_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To read the metadata of all of them takes 20 ms, and a plan asks a dozen times."""
    install_toys(tmp_path, "sweep.toys", {"ball": f"{__name__}:Own"})
    looks: list[object] = []
    monkeypatch.setattr("sweep.registry.entry_points", lambda: looks.append(None) or entry_points())
    toys: Registry[object] = Registry("toy", "sweep.toys", {})
    others: Registry[object] = Registry("other", "sweep.others", {})
    monkeypatch.syspath_prepend(tmp_path)
    assert (toys.names(), "ball" in toys, others.names(), toys.import_path("ball")) == (
        ("ball",),
        True,
        (),
        f"{__name__}:Own",
    )
    assert len(looks) == 1
    monkeypatch.undo()
    assert toys.names() == ()


def test_an_installed_one_that_is_broken_is_left_out_with_a_warning_and_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_toys(tmp_path, "sweep.toys", {"broken": "no_such_module:thing", "e": "math:e"})
    monkeypatch.syspath_prepend(str(tmp_path))
    toys = shelf()
    with pytest.warns(UserWarning, match="sweep.toys: 'broken' is a toy that cannot be loaded: ModuleNotFoundError"):
        assert toys.all() == (math.pi, math.tau, math.e)
    assert [name for name, _ in toys.items()] == ["pi", "tau", "e"]
    with pytest.raises(StudyError, match="cannot be loaded"):
        toys.get("broken")
    shipped: Registry[object] = Registry("toy", "sweep.nothing", {"gone": "no_such_module:thing"})
    with pytest.raises(StudyError, match="cannot be loaded"):
        shipped.all()


def test_a_broken_package_is_in_nobodys_way_whatever_it_adds(tmp_path: Path) -> None:
    install_toys(tmp_path, "sweep.axes", {"broken": "no_such_module:thing"})
    with (tmp_path / "toys-1.0.dist-info" / "entry_points.txt").open("a", encoding="utf-8") as more:
        more.writelines(
            f"[{group}]\nbroken = no_such_module:thing\n" for group in ("sweep.columns", "sweep.stage_kinds")
        )
    tables = """
from sweep.analysis.rows.columns import COLUMNS
from sweep.planning.kinds import STAGE_KINDS
from sweep.study.axes import axis_names
print(len(COLUMNS.all()) > 50, len(STAGE_KINDS.all()) > 4, "broken" in axis_names())
"""
    path = os.pathsep.join([str(tmp_path), *sys.path])
    said = subprocess.run(
        [sys.executable, "-c", tables],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert said.stdout == "True True False\n", said.stderr
    assert said.stderr.count("is left out") == 3
