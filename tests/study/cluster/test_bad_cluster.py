"""Every slip in a cluster file is one line: the file, the key, the value and what is allowed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sweep.errors import StudyError
from sweep.study.cluster.cluster import Cluster
from sweep.study.targets import host
from tests.study.written_lines import line_at

BASE = "name: c\ndevices: [{key: a}]\n"
DEVICE = "name: c\ndevices: [%s]\n"
ARM_HOST = DEVICE % "{key: a, managed: false, target: {kind: llvm, mtriple: aarch64-linux-gnu, host: %s}}"
ARM = DEVICE % "{key: a, target: llvm -mtriple=aarch64-linux-gnu, %s}"

CASES: list[tuple[str, str, str, str]] = [
    ("devices: [{key: a}]", "name", "is missing", "small letters, digits and dashes"),
    ("name: c", "devices", "missing or empty", "a list of devices"),
    ("name: c\ndevices: []", "devices", "missing or empty", "a list of devices"),
    ("name: c\ndevice: [{key: a}]", "device", "did you mean 'devices'?", "engine, tracker"),
    (BASE + "engine: rai", "engine", "did you mean 'ray'?", "ray, inline, simulated"),
    (BASE + "engine: 3", "engine", "wrong type", "ray, inline, simulated"),
    (DEVICE % "{}", "devices[0].key", "is missing", "letters, digits"),
    (DEVICE % "local", "devices[0]", "wrong type (got 'local')", "key, target"),
    (DEVICE % "{key: a b}", "devices[0].key", "(got 'a b')", "letters, digits"),
    (DEVICE % "{key: a/b}", "devices[0].key", "(got 'a/b')", "letters, digits"),
    (DEVICE % "{key: a}, {key: a}", "devices[1].key", "there twice (got 'a')", "each key once"),
    (DEVICE % "{key: a, core: [1]}", "devices[0].core", "did you mean 'cores'?", "threads, cores"),
    (DEVICE % "{key: a, cores: [99]}", "devices[0].cores[0]", "(got 99)", "0, 1, 2, 3, or -1 to -4"),
    (DEVICE % "{key: a, cores: [-5]}", "devices[0].cores[0]", "(got -5)", "-1 to -4"),
    (DEVICE % "{key: a, cores: [3, -1]}", "devices[0].cores[1]", "core 3 again", "each core once"),
    (DEVICE % "{key: a, cores: []}", "devices[0].cores", "is empty", "a list with a whole number"),
    (DEVICE % "{key: a, threads: 2}", "devices[0].threads", "more than it has cores (got 2)", "up to 1"),
    (DEVICE % "{key: a, threads: 0}", "devices[0].threads", "out of range (got 0)", "from 1"),
    (DEVICE % "{key: a, count: 0}", "devices[0].count", "out of range (got 0)", "from 1"),
    (DEVICE % "{key: a, managed: maybe}", "devices[0].managed", "wrong type (got 'maybe')", "true or false"),
    (DEVICE % "{key: a, managed: off}", "devices[0].managed", "wrong type (got 'off')", "true or false"),
    (DEVICE % "{key: a, managed: false}", "devices[0].target", "is missing", "a tag, a string or a mapping"),
    (
        DEVICE % "{key: a, managed: false, target: arm/rasp4b64, cores: [1]}",
        "devices[0].cores",
        "does not apply",
        "managed devices only",
    ),
    (DEVICE % "{key: a, lend: sometimes}", "devices[0].lend", "wrong type (got 'sometimes')", "true or false"),
    (
        DEVICE % "{key: a, managed: false, target: arm/rasp4b64, lend: true}",
        "devices[0].lend",
        "does not apply to a device elsewhere (got True)",
        "its cores are not this host's",
    ),
    (DEVICE % "{key: a, target: arm/rasp4b65}", "devices[0].target", "did you mean 'arm/rasp4b64'?", "native, a tag"),
    (DEVICE % "{key: a, target: arm/rasp4b64}", "devices[0].target", "for aarch64, this machine is x86-64", "native"),
    (DEVICE % "{key: a, target: {kind: llvm, mcpu: znver5}}", "devices[0].target", "this machine lacks", "native"),
    (DEVICE % "{key: a, target: {kind: llvm, mcpu: zen5}}", "devices[0].target.mcpu", "not a CPU", "more"),
    (
        ARM_HOST % "llvm",
        "devices[0].target.host",
        "is not the target itself",
        "llvm -mtriple=aarch64-linux-gnu, or no host",
    ),
    (ARM_HOST % "llvm -mcpu=zen5", "devices[0].target.host", "host mcpu 'zen5' is not a CPU", "more"),
    (ARM_HOST % "cuda", "devices[0].target.host", "host kind 'cuda' cannot be built here", "llvm, native"),
    (DEVICE % "{key: a, target: 3}", "devices[0].target", "wrong type (got 3)", "text"),
    (DEVICE % "{key: a, server: {pyton: x}}", "devices[0].server.pyton", "did you mean 'python'?", "python, env"),
    (
        DEVICE % "{key: a, server: {python: no-such-python, target: native}}",
        "devices[0].server.target",
        "not a key",
        "",
    ),
    (ARM % "server: {python: no-such-python}", "devices[0].server.python", "is not on PATH", "or its path"),
    (ARM % "server: {python: ./absent}", "devices[0].server.python", "is not a file", "a program"),
    (ARM % "server: {python: ./cluster.yaml}", "devices[0].server.python", "cannot be executed", "a program"),
    (
        ARM % "server: {python: $SWEEP_NO/x}",
        "devices[0].server.python",
        "not set, SWEEP_NO (got '$SWEEP_NO/x')",
        "export",
    ),
    (ARM % "server: {python: []}", "devices[0].server.python", "wrong type", "text"),
    (ARM % "server: {env: {a b: x}}", "devices[0].server.env", "(got 'a b')", "letters, digits and _"),
    (
        ARM % "server: {env: {TMPDIR: x}}",
        "devices[0].server.env.TMPDIR",
        "is set by sweep (got 'x')",
        "PYTHONPATH, PYTHONSAFEPATH, TMPDIR",
    ),
    (ARM % "server: {env: {A: 3}}", "devices[0].server.env.A", "wrong type (got 3)", "text"),
    (
        ARM % "server: {env: {A: '${SWEEP_NO}'}}",
        "devices[0].server.env.A",
        "not set, SWEEP_NO",
        "export SWEEP_NO first",
    ),
    (ARM % "server: {env: {A: x}}", "devices[0].target", "for aarch64, this machine is x86-64", "server.python"),
    (DEVICE % "{key: a, server: {python: sh}}", "devices[0].target", "interpreter of its own", "or native"),
    (ARM % "managed: false, server: {env: {A: x}}", "devices[0].server", "does not apply", "managed devices only"),
    (ARM % "server: {python: sh}, linker: no-such-g++", "devices[0].linker", "is not on PATH", "a program's name"),
    (ARM % "server: {python: sh}, linker: ''", "devices[0].linker", "is empty", "text"),
    (DEVICE % "{key: a, labels: {x: 3}}", "devices[0].labels.x", "wrong type (got 3)", "text"),
    (BASE + "tracker: {host: 0.0.0.0}", "tracker.host", "not loopback (got '0.0.0.0')", "managed: false"),
    (BASE + "tracker: {port: 70000}", "tracker.port", "out of range (got 70000)", "to 65535"),
    (BASE + "tracker: {managed: false}", "tracker.port", "is missing", "TVM_TRACKER_PORT"),
    (BASE + "tracker: {adress: x}", "tracker.adress", "not a key here", "host, port, managed"),
    (BASE + "ray: {num_cpus: 0}", "ray.num_cpus", "out of range (got 0)", "from 1"),
    (BASE + "mlflow: {tracking_uri: ./mlruns}", "mlflow.tracking_uri", "no MLflow store (got './mlruns')", "sqlite:"),
    (BASE + "mlflow: {uri: x}", "mlflow.uri", "not a key here (got 'x')", "tracking_uri"),
    (BASE + "simulate: {failure_rate: 2}", "simulate.failure_rate", "out of range (got 2)", "from 0 to 1"),
    (BASE + "simulate: {stage_s: {tune: -2}}", "simulate.stage_s.tune", "out of range (got -2)", "from 0"),
]


@pytest.mark.parametrize(("text", "key", "problem", "allowed"), CASES)
def test_a_slip_is_one_line_that_says_where_what_and_what_else(
    text: str, key: str, problem: str, allowed: str, cluster_of: Callable[[str], Cluster]
) -> None:
    with pytest.raises(StudyError) as caught:
        cluster_of(text)
    line = str(caught.value)
    assert "\n" not in line
    assert f"cluster.yaml:{line_at(text, key)}: {key}: " in line
    said, _, offered = line.partition("; allowed: ")
    assert problem in said
    assert allowed in offered


@pytest.mark.parametrize("port", ["x", "0", "70000", "-1"])
def test_a_bad_port_in_the_environment_is_named(
    port: str, cluster_of: Callable[[str], Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVM_TRACKER_PORT", port)
    with pytest.raises(StudyError, match=r"environment: TVM_TRACKER_PORT: .*allowed: 1 to 65535"):
        cluster_of(BASE + "tracker: {managed: false}")


def test_an_x86_device_on_an_arm_host_is_refused(
    cluster_of: Callable[[str], Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "architecture", lambda: "aarch64")
    with pytest.raises(
        StudyError, match=r"devices\[0\]\.target: cannot run here: it is for x86-64, this machine is aarch64"
    ):
        cluster_of(DEVICE % "{key: a, target: {kind: llvm, mcpu: core-avx2}}")
