"""A person's own tuner at the gate: found, tried, and part of what its stages are named by."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.search.catalogue import make_tuner
from sweep.study.cluster.cluster import Cluster
from sweep.study.spec import Study, TunerSpec
from sweep.study.tuners import own_tuner, tuner_forms
from tests.study.written_lines import line_at

BASE = "study: s\nmodels: [onnx-light:squeezenet]\n"
SOURCE = """
class Slow:
    def __init__(self, options, seed):
        if options.get("step", 1) < 1:
            raise ValueError("step is below 1")
        self.options, self.seed = options, seed

    def search(self, workload, space):
        raise NotImplementedError

def made(options, seed):
    return Slow(options, seed)

def fails(options, seed):
    return options["nope"]

def gives_text(options, seed):
    return "tuner"

class Nested:
    Inner = Slow

number = 3
"""
COUNT = itertools.count()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that no test has imported yet."""
    name = f"own_tuner_of_a_test_{next(COUNT)}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


Read = Callable[[str], Study]


def one(study: Study) -> TunerSpec:
    (tuner,) = study.tuners
    return tuner


def test_it_gets_the_common_options_and_its_own_in_one_mapping(module: str, study_of: Read) -> None:
    own = "{step: 2, heat: [1, 0.5, -0.0], far: {a: true}}"
    tuner = one(study_of(BASE + f"tuners: [{{name: '{module}:Slow', round: 4, options: {own}}}]"))
    assert (tuner.label, tuner.name) == ("slow", f"{module}:Slow")
    assert tuner.options["round"] == 4
    assert tuner.options["trials_per_task"] == 32
    assert (tuner.options["step"], tuner.options["heat"], tuner.options["far"]) == (2, [1, 0.5, 0.0], {"a": True})
    assert str(tuner.options["heat"]) == "[1, 0.5, 0.0]"
    assert "options" not in tuner.options
    assert list(tuner.options) == sorted(tuner.options)


@pytest.mark.parametrize(("attribute", "label"), [("Slow", "slow"), ("made", "made"), ("Nested.Inner", "inner")])
def test_a_name_alone_will_do(attribute: str, label: str, module: str, study_of: Read) -> None:
    assert one(study_of(BASE + f"tuners: ['{module}:{attribute}']")).label == label


def test_changed_code_and_changed_options_are_new_stages(
    module: str, tmp_path: Path, study_of: Read, cluster_of: Callable[[], Cluster]
) -> None:
    def tune_stage(options: str) -> str:
        text = BASE + f"tuners: [{{name: '{module}:Slow', options: {options}}}]"
        stages = make_plan(study_of(text), cluster_of()).stages.values()
        (stage,) = [stage.id for stage in stages if stage.kind == "tune"]
        return stage

    first = tune_stage("{step: 2}")
    assert tune_stage("{step: 2}") == first
    assert tune_stage("{step: 3}") != first
    (tmp_path / f"{module}.py").write_text(SOURCE + "# changed\n")
    assert tune_stage("{step: 2}") != first


def test_an_installed_package_gives_it_a_name(
    module: str, tmp_path: Path, study_of: Read, cluster_of: Callable[[], Cluster]
) -> None:
    info = tmp_path / "own_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{own_tuner.ENTRY_POINTS}]\nannealing = {module}:Slow\n")
    assert own_tuner.installed_names() == ["annealing"]
    tuner = one(study_of(BASE + "tuners: [{name: annealing, options: {step: 2}}]"))
    assert (tuner.label, tuner.name, tuner.options["step"]) == ("annealing", "annealing", 2)
    assert tuner.options[tuner_forms.SOURCE] is not None
    assert one(study_of(BASE + "tuners: [annealing]")).name == "annealing"
    with pytest.raises(StudyError, match=r"did you mean 'annealing'\?.*optuna or annealing or module:attribute"):
        study_of(BASE + "tuners: [anealing]")


def test_a_program_gives_it_a_name_for_a_while(module: str, study_of: Read) -> None:
    with own_tuner.TUNERS.registered("walking", own_tuner.load(f"{module}:Slow")):
        tuner = one(study_of(BASE + "tuners: [{name: walking, options: {step: 2}}]"))
        assert (tuner.label, tuner.options["step"]) == ("walking", 2)
        assert tuner.options[tuner_forms.SOURCE] == own_tuner.source_sha256(f"{module}:Slow") is not None
        assert callable(make_tuner("walking", tuner.options, 0).search)
    with pytest.raises(StudyError, match=r"tuners\[0\]"):
        study_of(BASE + "tuners: [walking]")


# what is written, with MODULE for the module; the key named; a part of the problem; a part of what is allowed
SLIPS = [
    ("['no_such_module:Slow']", "tuners[0]", "No module named 'no_such_module'", "PYTHONPATH"),
    ("[{name: 'no_such_module:Slow'}]", "tuners[0].name", "cannot be imported: ModuleNotFoundError", "PYTHONPATH"),
    ("['MODULE:Slw']", "tuners[0]", "has no 'Slw', did you mean 'Slow'?", "(options, seed)"),
    ("['MODULE:number']", "tuners[0]", "cannot be called: 'number' is of type int", "a class, or a function"),
    ("['MODULE:fails']", "tuners[0]", "cannot be made: KeyError: 'nope'", "(options, seed)"),
    ("['MODULE:gives_text']", "tuners[0]", "gives no tuner but str", "search(workload, space)"),
    ("['MODULE:']", "tuners[0]", "is not a module and an attribute", "my_tuners.annealing:Annealing"),
    ("[{name: 'my tuners:Slow'}]", "tuners[0].name", "is not a module and an attribute", "my_tuners.annealing"),
    ("[{name: 'MODULE:Slow', options: {step: 0}}]", "tuners[0].options", "step is below 1 (got {'step': 0})", "MODULE"),
    ("[{name: 'MODULE:Slow', step: 2}]", "tuners[0].step", "written in options: {step: ...}", "options"),
    ("[{name: 'MODULE:Slow', population: 2}]", "tuners[0].population", "an option of ga, xgb, mlp", "options"),
    ("[{name: 'MODULE:Slow', options: {round: 2}}]", "tuners[0].options.round", "that every tuner has", "other than"),
    ("[{name: 'MODULE:Slow', options: {source_sha256: a}}]", "tuners[0].options.source_sha256", "every tuner", "other"),
    ("[{name: 'MODULE:Slow', options: {step: .nan}}]", "tuners[0].options.step", "is no plain value", "finite"),
    ("[{name: 'MODULE:Slow', options: [1]}]", "tuners[0].options", "wrong type (got [1])", "a mapping"),
    ("[{name: 'MODULE:Slow', trials_per_task: null}]", "tuners[0].trials_per_task", "has no end", "trials_total"),
    ("['MODULE:Slow', 'MODULE:Nested.Inner', {name: 'MODULE:Slow', round: 2}]", "tuners[2]", "same as", "`label:`"),
]


@pytest.mark.parametrize(("text", "key", "problem", "allowed"), SLIPS)
def test_a_slip_is_one_line(text: str, key: str, problem: str, allowed: str, module: str, study_of: Read) -> None:
    with pytest.raises(StudyError) as caught:
        study_of(BASE + "tuners: " + text.replace("MODULE", module))
    line = str(caught.value)
    assert "\n" not in line
    assert f"study.yaml:{line_at(BASE + 'tuners: ', key)}: {key}" in line
    said, _, offered = line.partition("; allowed: ")
    assert problem in said
    assert allowed.replace("MODULE", module) in offered
