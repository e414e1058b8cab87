from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from sweep.doctor import package_checks
from sweep.study import runtimes

PROJECT = """
[project]
dependencies = [
    "apache-tvm-ffi>=0.1.14.post0,<0.1.15",
    "mlflow>=3.5,<4,!=3.18.0",
    "xgboost-cpu>=3.0; platform_machine == 'x86_64'",
    "never-here>=1; platform_machine == 'vax'",
]
"""
PINS = "# pins\napache-tvm-ffi==0.1.14.post1\nmlflow==3.17.2\nxgboost-cpu==3.2.0\n"
GOOD = {"apache-tvm-ffi": "0.1.14.post1", "mlflow": "3.17.2", "xgboost-cpu": "3.2.0"}


@pytest.fixture
def findings_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The findings in a world where just these distributions are installed."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "constraints.txt").write_text(PINS)

    def version(there: dict[str, str | None], name: str) -> str:
        if (found := there.get(name)) is None:
            raise PackageNotFoundError(name)
        return found

    def find(**changes: str | None) -> list[package_checks.Finding]:
        there = GOOD | {name.replace("_", "-"): value for name, value in changes.items()}
        monkeypatch.setattr(package_checks, "version", lambda name: version(there, name))
        return package_checks.check_packages(tmp_path)

    return find


def test_all_as_pinned(findings_for):
    (finding,) = findings_for()
    assert finding.ok is True
    assert "3 direct requirements" in finding.detail  # the fourth is for another machine


@pytest.mark.parametrize(
    ("changes", "check", "ok", "said", "mend"),
    [
        ({"apache_tvm_ffi": "0.1.15.post2"}, "apache-tvm-ffi", False, "crashes", "apache-tvm-ffi==0.1.14.post1"),
        ({"apache_tvm_ffi": "0.1.13"}, "apache-tvm-ffi", False, "0.1.13", "apache-tvm-ffi==0.1.14.post1"),
        ({"mlflow": "3.18.0"}, "mlflow", False, "never published", "mlflow==3.17.2"),
        ({"mlflow": None}, "mlflow", False, "not installed", "mlflow==3.17.2"),
        ({"mlflow": "3.16.0"}, "pins", None, "3.16.0 (tested with 3.17.2)", "constraints.txt"),
        ({"xgboost_cpu": None}, "xgboost-cpu", False, "not installed", "xgboost-cpu==3.2.0"),
        ({"xgboost": "3.2.0"}, "xgboost", None, "share one folder", "pip uninstall"),
    ],
)
def test_what_is_amiss_is_named_with_its_mend(findings_for, changes, check, ok, said, mend):
    (finding,) = findings_for(**changes)
    assert (finding.check, finding.ok) == (check, ok)
    assert said in finding.detail
    assert mend in finding.mend


def test_the_build_of_xgboost_with_cuda_serves_as_well(findings_for):
    assert all(finding.ok is not False for finding in findings_for(xgboost_cpu=None, xgboost="3.2.0"))


def test_the_real_requirements_hold_and_keep_the_defective_ffi_out():
    assert [finding for finding in package_checks.check_packages() if finding.ok is False] == []
    ffi = next(
        line for line in package_checks._requirements(package_checks.SOURCE_ROOT) or [] if line.name == "apache-tvm-ffi"
    )
    assert ffi.specifier.contains("0.1.14.post1")
    assert not ffi.specifier.contains("0.1.15.post2")


def test_every_direct_requirement_is_pinned():
    pins = package_checks._pins(package_checks.SOURCE_ROOT / "constraints.txt")
    for requirement in package_checks._requirements(package_checks.SOURCE_ROOT) or []:
        assert requirement.specifier.contains(pins[package_checks.canonicalize_name(requirement.name)])


def test_pins_name_no_place():
    """A list that names an index or a folder works on one machine only."""
    text = (package_checks.SOURCE_ROOT / "constraints.txt").read_text()
    assert "://" not in text
    assert " @ " not in text
    assert "--" not in text


def test_runtimes_are_told_with_what_installs_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "_is_installed", lambda name: name not in ("openvino", "ai-edge-litert"))
    [found] = package_checks.check_runtimes()
    assert found.ok is None
    there, _, absent = found.detail.partition("; not installed: ")
    assert there.startswith("tvm ")
    assert absent == "openvino, openvino-default, litert"
    assert found.mend == "pip install 'tvm-sweep[openvino,tflite]', to compare with them"
