"""Tries whether TVM works, in a child process, since its best-known defect is a segmentation fault."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweep.doctor.finding import Finding
from sweep.doctor.package_checks import installed
from sweep.installation import child_environment, python_command
from sweep.toolchain.probe import STEPS

__all__ = ["check_compiler", "check_tvm", "try_steps"]

STEP_TIMEOUT_S = 120.0
"""Importing TVM takes half a second from a warm disk, and has been seen to take 20 s from a cold one."""
TVM_MEND = "pip install 'apache-tvm==0.27.0.post1' 'apache-tvm-ffi==0.1.14.post1'"
FFI_MEND = "pip install 'apache-tvm-ffi==0.1.14.post1'"
XGBOOST_MEND = "pip install xgboost-cpu"
COMPILER_MEND = "install a C++ compiler: apt-get install g++, or dnf install gcc-c++"
COMMON_TARGETS = ("x86_64", "aarch64", "arm", "riscv64", "wasm32", "nvptx64")


def check_compiler() -> list[Finding]:
    """What TVM links with: its own order of search (tvm.support.cc.get_cc)."""
    names = [name for name in (os.environ.get("CXX"), "g++", "gcc", "clang++", "clang", "c++", "cc") if name]
    found = next((path for name in names if (path := shutil.which(name)) is not None), None)
    if found is None:
        return [Finding("c++ compiler", False, f"none of {', '.join(names)} on PATH", COMPILER_MEND)]
    return [Finding("c++ compiler", True, found)]


def check_tvm() -> list[Finding]:
    answers = try_steps(list(STEPS))
    if not answers["tvm"]["ok"]:
        missing = Finding("tvm", False, str(answers["tvm"]["error"]), TVM_MEND)
        return [missing, _judge("xgboost", answers["xgboost"])]
    return [_judge(step, answers[step]) for step in STEPS]


def try_steps(
    steps: Sequence[str], timeout_s: float = STEP_TIMEOUT_S, environment: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Each step's answer; a step that ends its child is answered with how it ended, and the rest go on in a new one."""
    answers: dict[str, dict[str, Any]] = {}
    left = list(steps)
    while left:
        lines, ending = _run_child(left, timeout_s, environment or {})
        answers |= {answer["step"]: answer for answer in lines}
        left = [step for step in left if step not in answers]
        if left:
            answers[left[0]] = {"step": left[0], "ok": False, "error": ending, "crashed": True}
            left = left[1:]
    return answers


def _run_child(
    steps: Sequence[str], timeout_s: float, environment: Mapping[str, str]
) -> tuple[list[dict[str, Any]], str]:
    # A folder of its own for what a dead child leaves
    with tempfile.TemporaryDirectory(prefix="sweep-doctor-") as folder:
        try:
            child = subprocess.run(
                [*python_command("sweep.toolchain.probe"), *steps],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout_s,
                check=False,
                env=child_environment(TMPDIR=folder, **environment),
            )
            output, ending = child.stdout, _ending(child.returncode, child.stderr)
        except subprocess.TimeoutExpired as expired:
            output, ending = expired.stdout or b"", f"no answer within {timeout_s:g} s"
    return [json.loads(line) for line in output.splitlines() if line.startswith(b'{"step"')], ending


def _ending(code: int, errors: bytes) -> str:
    if code < 0:
        return f"crashed with {signal.Signals(-code).name}"
    last = errors.decode(errors="replace").strip().splitlines()
    return f"ended with exit code {code}" + (f": {last[-1][:200]}" if last else "")


def _judge(step: str, answer: Mapping[str, Any]) -> Finding:
    check, mend = _NAMES[step]
    if answer["ok"]:
        return Finding(check, True, _PRAISE[step](answer))
    if step != "serialise":
        return Finding(check, False, str(answer["error"]), mend)
    ffi = installed("apache-tvm-ffi") or "of unknown version"
    detail = (
        f"no tuning record can be kept: serialising a workload failed ({answer['error']}) with apache-tvm-ffi {ffi}"
    )
    return Finding(check, False, detail, mend)


_NAMES = {
    "tvm": ("tvm", TVM_MEND),
    "llvm": ("llvm", TVM_MEND),
    "link": ("compile and link", COMPILER_MEND),
    "serialise": ("tuning database", FFI_MEND),
    "xgboost": ("xgboost", XGBOOST_MEND),
}


def _describe_llvm(answer: Mapping[str, Any]) -> str:
    there = [name for name in COMMON_TARGETS if name in answer["targets"]]
    rest = len(answer["targets"]) - len(there)
    return f"LLVM {answer['llvm']} for {', '.join(there)} and {rest} more; this host is {answer['host_cpu']}"


_PRAISE: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "tvm": lambda answer: f"{answer['version']} with apache-tvm-ffi {installed('apache-tvm-ffi')}",
    "llvm": _describe_llvm,
    "link": lambda answer: "code was generated, linked, loaded and called",
    "serialise": lambda answer: "a workload went to JSON, to disk and back",
    "xgboost": lambda answer: f"{answer['version']}, trained and asked",
}
