"""The child process is real in all of these; TVM is replaced by a folder of that name where it has to misbehave."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import sweep
from sweep.doctor import compiler_checks
from sweep.toolchain.probe import STEPS

CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"


def fake_tvm(folder: Path, misbehave: str) -> dict[str, str]:
    """The environment of a child whose TVM imports and then misbehaves when asked for its tuning database."""
    database = folder / "tvm" / "s_tir" / "meta_schedule" / "database.py"
    database.parent.mkdir(parents=True)
    database.write_text(misbehave)
    (folder / "tvm" / "__init__.py").write_text("__version__ = '0.0-fake'")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(Path(sweep.__file__).parent.parent)])}


def test_a_crash_is_named_and_the_steps_after_it_still_made(tmp_path):
    world = fake_tvm(tmp_path, CRASH)
    answers = compiler_checks.try_steps(["serialise", "tvm"], environment=world)
    assert answers["tvm"]["version"] == "0.0-fake"
    assert answers["serialise"]["error"] == "crashed with SIGSEGV"


def test_the_finding_of_the_ffi_defect_names_version_and_mend(tmp_path, monkeypatch):
    world = fake_tvm(tmp_path, CRASH)
    monkeypatch.setattr(compiler_checks, "installed", lambda name: "0.1.15.post2")
    finding = compiler_checks._judge(
        "serialise", compiler_checks.try_steps(["serialise"], environment=world)["serialise"]
    )
    assert finding.ok is False
    assert "(crashed with SIGSEGV) with apache-tvm-ffi 0.1.15.post2" in finding.detail
    assert finding.mend == "pip install 'apache-tvm-ffi==0.1.14.post1'"


def test_a_step_that_hangs_is_given_up(tmp_path):
    world = fake_tvm(tmp_path, "import time; time.sleep(60)")
    answers = compiler_checks.try_steps(["tvm", "serialise"], timeout_s=2.0, environment=world)
    assert answers["tvm"]["ok"]
    assert answers["serialise"]["error"] == "no answer within 2 s"


def test_a_tvm_that_cannot_be_imported_is_one_finding(tmp_path, monkeypatch):
    (tmp_path / "tvm.py").write_text("raise ImportError('libtvm_ffi.so: undefined symbol')")
    monkeypatch.syspath_prepend(tmp_path)
    tvm, xgboost = compiler_checks.check_tvm()
    assert (tvm.ok, xgboost.ok) == (False, True)
    assert "undefined symbol" in tvm.detail
    assert "apache-tvm==" in tvm.mend


def test_no_compiler_is_named_with_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    (finding,) = compiler_checks.check_compiler()
    assert finding.ok is False
    assert "g++" in finding.mend


@pytest.mark.tvm
def test_the_tvm_that_is_installed_passes_every_step():
    findings = compiler_checks.check_tvm()
    assert len(findings) == len(STEPS)
    assert [finding for finding in findings if not finding.ok] == []
    assert "x86_64" in next(finding.detail for finding in findings if finding.check == "llvm")
