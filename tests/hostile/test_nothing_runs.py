"""Reading commands run nothing that a folder brings: an audit hook watches a process whose folder is full of traps.

The traps: libraries whose loading writes a file, modules of likely names, a package with entry points, a runtime and a
tuner of the plan's own, arrays that are pickles, a start-up file of Python, and git hooks' like.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.conftest import GOLDEN

ROOT = Path(__file__).parents[2]

WATCHED = """
folder, *words = sys.argv[1:]
seen = []

def inside(value):
    try:
        return os.path.realpath(os.fsdecode(value)).startswith(folder + os.sep)
    except (TypeError, ValueError):
        return False

def hook(event, args):
    if event == "import" and len(args) > 1 and args[1] and inside(args[1]):
        seen.append(f"import {args[0]} from {args[1]}")
    elif event in ("ctypes.dlopen", "exec", "os.exec", "os.posix_spawn", "subprocess.Popen", "os.system"):
        where = getattr(args[0], "co_filename", args[0]) if args else None
        if not isinstance(where, (str, bytes)) or not os.path.isabs(where):  # code of a library, made in memory
            return
        if inside(where):
            seen.append(f"{event} {where}")
    elif event == "pickle.find_class":
        seen.append(f"{event} {args}")

sys.addaudithook(hook)
sys.argv[:] = ["sweep", *words]
from sweep.__main__ import main
code = main()
sys.stdout.flush()
print("WATCHED", seen, code)
"""

COMMANDS = (
    ("status", "."),
    ("where", "."),
    ("report", "."),
    ("report", ".", "--format", "html,csv,markdown"),
    ("compare", ".", "two_layers native none O1 here-avx2", "two_layers native none O3 here-avx2"),
    ("overlay", ".", "--model", "two_layers"),
    ("export", ".", "two_layers native none O3 here-avx2", "--out", "../bundle"),
)

LATE = ("compare", "overlay")
"""What reads no more than others do, and takes longer."""


class _Trap:
    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._canary),)


@pytest.fixture(scope="module")
def trapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep with every trap; what one of them does is to make `canary` beside the folder."""
    home = tmp_path_factory.mktemp("trapped")
    folder, canary = home / "sweep", home / "canary"
    shutil.copytree(GOLDEN, folder)
    python = f"import os\nos.makedirs({str(canary)!r}, exist_ok=True)\nclass Thing: pass\nTHING = Thing()\n"
    names = ("sitecustomize", "usercustomize", "numpy", "tvm", "trap", "my_tuner", "conftest", "_virtualenv")
    for name in names:
        (folder / f"{name}.py").write_text(python)
    meta = folder / "trap-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: trap\nVersion: 1.0\n")
    groups = ("axes", "columns", "runtimes", "tuners", "importers", "stage_kinds", "precisions")
    (meta / "entry_points.txt").write_text("".join(f"[sweep.{group}]\ntrap = trap:THING\n" for group in groups))
    library = home / "lib.so"
    if shutil.which("gcc"):
        source = f'#include <sys/stat.h>\n__attribute__((constructor)) void go(void) {{ mkdir("{canary}", 0777); }}\n'
        subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=source, text=True, check=True)
    for kind in ("build", "import", "kernel"):
        for made in [*(folder / "artifacts" / kind).glob("*"), folder / "artifacts" / kind]:
            made.mkdir(exist_ok=True)
            if library.exists():
                shutil.copyfile(library, made / "lib.so")
            for name in ("inputs.npz", "reference.npz", "module.json"):
                (made / name).write_bytes(pickle.dumps(_Trap(canary)))
    plan = json.loads((folder / "plan.json").read_text())
    for cell in plan["cells"]:
        if cell["runtime"] == "onnxruntime":
            cell["runtime"] = "trap:THING"
        if cell.get("tuner") == "random":
            cell["tuner"] = "my_tuner:Thing"
    (folder / "plan.json").write_text(json.dumps(plan | {"baseline": "trap:THING"}))
    (folder / "study.yaml").write_text("study: golden\nmodels: [x.onnx]\ntuners: ['my_tuner:Thing']\n")
    return folder


@pytest.mark.parametrize(
    "words",
    [pytest.param(words, marks=pytest.mark.slow) if words[0] in LATE else words for words in COMMANDS],
    ids=lambda words: words[0],
)
def test_reading_a_folder_loads_imports_and_unpickles_nothing_of_it(words: tuple[str, ...], trapped: Path) -> None:
    """In the folder itself, started as `python -m sweep` is: the working folder is on the import path, last."""
    started = f"import os, sys; sys.path[:0] = [{str(ROOT)!r}]; sys.path.append(os.getcwd())\n{WATCHED}"
    command = [sys.executable, "-P", "-c", started, str(trapped.resolve()), *words]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    done = subprocess.run(
        command, cwd=trapped, env=environment, capture_output=True, text=True, timeout=120, check=False
    )

    told = done.stdout.rpartition("WATCHED ")[2].strip()
    assert told.startswith("[]"), (told, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr
    assert not (trapped.parent / "canary").exists()


def test_the_traps_are_armed(trapped: Path) -> None:
    """Else nothing would be shown by nothing having happened."""
    canary = trapped.parent / "canary"
    tries = [
        f"import sys; sys.path.append({str(trapped)!r}); import trap",
        f"import pickle; pickle.load(open({str(next(trapped.glob('artifacts/build/*/inputs.npz')))!r}, 'rb'))",
    ]
    if shutil.which("gcc"):
        tries.append(f"import ctypes; ctypes.CDLL({str(next(trapped.glob('artifacts/build/*/lib.so')))!r})")
    for one in tries:
        subprocess.run([sys.executable, "-c", one], check=True, cwd="/", timeout=60)
        canary.rmdir()
