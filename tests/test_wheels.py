"""The wheel alone, with no repository around, and the one that reads sweeps without TVM and Ray."""

from __future__ import annotations

import email
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from sweep.cli import _LEFT_OUT
from tests.api.made_sweep import MadeCell, make_sweep
from tests.networks import write_tiny
from tools.read_wheel import KEPT

ROOT = Path(__file__).parents[1]
HEAVY = (
    "tvm tvm_ffi ray mlflow onnx onnxruntime tflite xgboost sklearn threadpoolctl tornado psutil cloudpickle".split()
)
BLOCKED = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
"""
"""An environment without the packages that reading does without."""
READS = (
    BLOCKED
    + """
import json, sys
from sweep.cli import main
folder = sys.argv[1]
for words in (["status", folder], ["where", folder], ["report", folder], ["report", folder, "--format", "html"],
              ["report", folder, "--format", "json"], ["compare", folder, "xgb", "none"], ["mirror", folder],
              ["run", folder + "/mine.yaml", "--out", folder + "/out"]):
    sys.stdout.write(f"== {words[0]} {main(words)}\\n")
import sweep
assert len(sweep.open_results(folder)) == 2
assert sweep.compare(folder, "xgb", "none").verdict is sweep.Verdict.FASTER
"""
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_sweep(tmp_path / "made", [MadeCell("xgb", 1.0), MadeCell("none", 2.0)])


def test_reading_takes_none_of_what_measuring_does(folder: Path) -> None:
    write_tiny(folder / "tiny.onnx")
    (folder / "mine.yaml").write_text("study: mine\nmodels: [tiny.onnx]\n")
    done = subprocess.run(
        [sys.executable, "-c", READS, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    codes = re.findall(r"== (\w+ \d)$", done.stdout, re.MULTILINE)
    assert codes == ["status 0", "where 0", "report 0", "report 0", "report 0", "compare 0", "mirror 2", "run 2"]
    assert done.stderr.splitlines() == [
        f"sweep: needs the package {name}, which is not installed here: this part reads sweeps; allowed: "
        "status, where, report, compare; all else with `pip install tvm-sweep`"
        for name in ("mlflow", "tvm")
    ]


def test_what_is_kept_and_left_out_are_all_requirements() -> None:
    """A new one has to be of one kind or the other: the command line explains what is missing by the same names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = {line.partition(";")[0].split("[")[0] for line in project["dependencies"]}
    names = {"".join(c if c.isalnum() or c in "-_." else " " for c in line).split()[0] for line in required}
    modules = {"apache-tvm": "tvm", "apache-tvm-ffi": "tvm_ffi", "xgboost-cpu": "xgboost", "scikit-learn": "sklearn"}
    assert names >= KEPT
    assert {modules.get(name, name) for name in names - KEPT} == set(HEAVY)
    assert set(HEAVY) == _LEFT_OUT


# -- built and installed ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build = "-m pip wheel . --no-deps --no-build-isolation --quiet --wheel-dir".split()
    subprocess.run([sys.executable, *build, str(out)], cwd=ROOT, check=True, timeout=300)
    (made,) = out.glob("tvm_sweep-*.whl")
    return made


def installed(wheel: Path, place: Path, first_line: str = "") -> Path:
    """An environment with the wheel, which has the dependencies of this one and nothing of the repository."""
    venv.create(place, with_pip=False)
    site = place / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    with zipfile.ZipFile(wheel) as content:
        content.extractall(site)
    libraries = [path for path in sys.path if path.endswith("site-packages")] or [sysconfig.get_path("purelib")]
    (site / "borrowed.pth").write_text("".join(f"{path}\n" for path in libraries))
    (site / "sitecustomize.py").write_text(first_line)
    return place / "bin" / "python"


def ran(python: Path, words: str, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-m", "sweep", *words.split()],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.tvm
@pytest.mark.ray
@pytest.mark.timeout(900)
def test_the_wheel_alone_goes_from_a_network_to_a_bundle(wheel: Path, tmp_path: Path) -> None:
    python = installed(wheel, tmp_path / "venv")
    folder = tmp_path / "empty"
    folder.mkdir()
    where = subprocess.run(
        [python, "-c", "import sweep; print(sweep.__file__)"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert where.stdout.startswith(str(tmp_path)), "the repository's own is in the way"
    write_tiny(folder / "net.onnx")
    assert ran(python, "--version", folder).startswith("tvm-sweep ")
    ran(python, "init net.onnx", folder)
    ran(python, "plan study.yaml", folder)
    assert "net" in ran(python, "run study.yaml --out swept --only tuner=none|-", folder)
    every = json.loads(ran(python, "report swept --format json", folder))["cells"]
    cells = [cell for cell in every if cell["tuner"] != "xgb"]
    assert len(cells) == 3
    assert {cell["status"] for cell in cells} <= {"done", "tainted"}
    name = next(cell["cell_id"] for cell in cells if cell["runtime"] == "tvm")
    ran(python, f"export swept {name} --out bundle", folder)
    assert (folder / "bundle" / "run.py").is_file()


@pytest.mark.slow
def test_the_wheel_that_reads_asks_for_no_compiler(wheel: Path, folder: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "tools" / "read_wheel.py", wheel, "--out", tmp_path], check=True)
    (light,) = tmp_path.glob("tvm_sweep_read-*.whl")
    with zipfile.ZipFile(light) as content:
        (name,) = [name for name in content.namelist() if name.endswith(".dist-info/METADATA")]
        told = email.message_from_bytes(content.read(name))
    assert told["Name"] == "tvm-sweep-read"
    required = " ".join(told.get_all("Requires-Dist", []))
    assert not [name for name in ("tvm", "ray", "mlflow", "onnx", "xgboost") if name in required]
    python = installed(light, tmp_path / "venv", BLOCKED)
    assert "1 done" not in ran(python, f"status {folder}", tmp_path)
    assert "FASTER" in ran(python, f"compare {folder} xgb none", tmp_path)
