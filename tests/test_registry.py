"""The registry of what others may add."""

from __future__ import annotations

import math
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
