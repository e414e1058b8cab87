"""The Ray engine when its workers die, and who can reach the Ray that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from sweep.engine.ray.ray_engine import RayEngine
from sweep.planning.results.tuning_result import TuneResult
from sweep.planning.stage import Stage
from sweep.running.contract import Done, Failed, Progress, Report
from tests.devices.parts import until
from tests.engine.shop import LIMIT_S, Shop, changed, ends
from tests.processes import command_of, is_gone

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.ray]

_UNSTOPPED = {"max_repeat": 10_000, "relative_interval": 0.0, "time_limit_s": 86_400.0, "min_repeat_ms": 1_000}
"""A measurement that goes on for hours."""


@pytest.mark.slow
def test_a_builder_that_dies_fails_its_attempt_and_another_takes_over(ray: Shop) -> None:
    stage = ray.stages("lower")[0]
    attempt = ray.attempt(stage, number=21)
    with _halted_forge():  # so that the attempt cannot be over before its worker dies
        ray.engine.start(attempt)
        _kill("ray::BuilderActor")

        _assert_lost(_reports(ray), stage)

    _works_again(ray, stage)


def test_a_device_actor_that_dies_fails_its_attempt_and_another_takes_over(ray: Shop) -> None:
    plain = ray.stages("measure")[1]
    attempt = ray.attempt(plain, number=21)
    endless = changed(plain, "endless", measure={**plain.options["measure"], "repeat": 10_000, **_UNSTOPPED})
    ray.engine.start(replace(attempt, stage=endless))
    _kill("ray::DeviceActor.perform")

    _assert_lost(_reports(ray), endless)

    _works_again(ray, plain)


@pytest.mark.slow
def test_a_tuner_that_dies_fails_its_attempt_and_another_takes_over(ray: Shop) -> None:
    plain = ray.stages("tune")[0]
    attempt = ray.attempt(plain, number=21)
    options = {**plain.options["tuner"]["options"], "trials_per_task": 10_000, "min_repeat_ms": 100}
    endless = changed(plain, "endless", tuner={"name": "random", "options": options})
    endless = replace(endless, hints={**plain.hints, "records": f"{plain.hints['records']}-endless"})
    ray.engine.start(replace(attempt, stage=endless))
    reports: list[Report] = []
    until(lambda: _has_trials(reports, ray), "a trial", LIMIT_S)
    assert not ends(reports)
    _kill("ray::TunerActor")

    _assert_lost(_reports(ray), endless)

    # The same tuner actor, by its key, with the records that the dead one has left on the disk
    short = replace(
        endless, options={**endless.options, "tuner": {"name": "random", "options": {**options, "trials_per_task": 1}}}
    )
    again = ends(ray.perform(replace(attempt, stage=short, number=22)))
    assert [type(report) for report in again] == [Done], again
    log = ray.sweep_dir / str(endless.hints["records"]) / "trials.jsonl"
    assert log.read_text().count("\n") >= 1


@pytest.mark.slow
def test_builder_and_device_die_in_mid_search_and_no_trial_is_lost(ray: Shop) -> None:
    """Neither is a candidate's doing: it is built and measured again."""
    plain = ray.stages("tune")[0]
    options = {**plain.options["tuner"]["options"], "trials_per_task": 8, "min_repeat_ms": 100}
    tune = changed(plain, "robust", tuner={"name": "random", "options": options})
    tune = replace(tune, hints={**plain.hints, "records": f"{plain.hints['records']}-robust"})
    ray.engine.start(replace(ray.attempt(plain), stage=tune))
    reports: list[Report] = []
    until(lambda: _has_trials(reports, ray), "a trial", LIMIT_S)
    _kill("ray::BuilderActor")
    _kill("ray::DeviceActor")

    reports += _reports(ray)

    (end,) = ends(reports)
    assert isinstance(end, Done), end
    assert isinstance(end.result, TuneResult)
    assert end.result.failed == {}
    assert end.result.trials
    assert end.result.valid == end.result.trials > 8


def test_stages_leave_a_build_slot_to_the_first_candidates_of_a_network(
    ray: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ray.engine
    assert isinstance(engine, RayEngine)
    monkeypatch.setattr(engine._actors, "_building", 2)
    plain = ray.stages("tune")[0]
    attempt = ray.attempt(plain, number=23)
    options = {**plain.options["tuner"]["options"], "trials_per_task": 1}
    short = changed(plain, "first", tuner={"name": "random", "options": options})
    short = replace(short, hints={**plain.hints, "records": f"{plain.hints['records']}-first"})
    engine.start(replace(attempt, stage=short))
    reports = list(engine.poll(0.0))
    assert engine.capacity["compile"] == 1
    assert [type(report) for report in ends([*reports, *_reports(ray)])] == [Done]
    engine.poll(0.0)
    assert engine.capacity["compile"] == 2
    monkeypatch.undo()
    engine.poll(0.0)


def test_ray_has_the_processes_that_are_used_and_no_others(ray: Shop) -> None:
    """Each of Ray's helpers is a Python that loads for a second or two, with each run."""
    scripts = {"log_monitor.py", "monitor.py", "dashboard.py"}
    commands = [command_of(process) for process in _workers()]

    assert any("gcs_server" in word for command in commands for word in command[:1]), commands
    assert not [command for command in commands if scripts & {Path(word).name for word in command[:3]}]


def test_what_measures_first_comes_up_before_there_is_anything_to_measure(ray: Shop) -> None:
    """The device's actor, the runtime's library, the kernel that shows disturbances: as long as an import takes."""
    from sweep.engine.ray.ray_engine import RayEngine
    from sweep.files.sweep_dir import SweepDir

    assert isinstance(ray.engine, RayEngine)
    first = next(stage for stage in ray.stages("measure") if stage.options["runtime"] == "onnxruntime")

    ray.engine.make_ready(first)

    until(lambda: SweepDir(ray.sweep_dir).sentinel_kernel("here").exists(), "its kernel", LIMIT_S)
    loaded = "sweep.devices.runtimes.forking.forking_child"
    until(lambda: any(loaded in command_of(process) for process in _workers()), "ONNX Runtime's process", LIMIT_S)
    _works_again(ray, first)


def test_workers_have_their_environment_from_ray_itself_and_the_driver_has_not(ray: Shop) -> None:
    """So that a worker which is ready is taken for an actor, where an actor's own environment starts another one."""
    ray.finish(ray.stages("import")[0])
    (builder,) = [process for process in _workers() if "ray::BuilderActor" in " ".join(command_of(process)[:1])]
    temporary = builder.environ()["TMPDIR"]
    raylet = builder.parent()

    assert raylet is not None
    assert (builder.environ()["OMP_NUM_THREADS"], builder.environ()["TVM_NUM_THREADS"]) == ("1", "1")
    assert raylet.environ()["TMPDIR"] == temporary
    assert os.environ.get("TMPDIR") != temporary


def test_nobody_joins_without_the_token(ray: Shop) -> None:
    import ray as ray_module

    address = ray_module.get_runtime_context().gcs_address
    look = """
import encodings.ascii, encodings.idna, os, sys
from ray._raylet import GcsClient
if len(sys.argv) > 2:  # as another user, who cannot load it
    os.setgroups([]), os.setgid(int(sys.argv[2])), os.setuid(int(sys.argv[2]))
print(GcsClient(address=sys.argv[1]).cluster_id)
"""

    def join(*user: str, **environment: str) -> subprocess.CompletedProcess[str]:
        without = {key: value for key, value in os.environ.items() if not key.startswith("RAY_AUTH")}
        return subprocess.run(
            [sys.executable, "-c", look, address, *user], env={**without, **environment}, capture_output=True, text=True
        )

    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": os.environ["RAY_AUTH_TOKEN_PATH"]}
    assert join(**token).returncode == 0
    for refused in (join(RAY_AUTH_MODE="disabled"), join(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="0" * 64)):
        assert refused.returncode != 0
        assert "InvalidAuthToken" in refused.stderr
    if os.getuid() == 0:  # the token is in a file, and another user of the host cannot read that
        assert join("65534", **token).returncode != 0
        assert join("0", **token).returncode == 0


def test_a_second_connection_is_refused_and_leaves_the_first_alone(ray: Shop) -> None:
    from sweep.engine.ray.ray_session import RaySession
    from sweep.errors import EngineError

    with pytest.raises(EngineError, match="has a connection to Ray already"):
        RaySession(None, 1, {})

    _works_again(ray, ray.stages("lower")[0])


# -- looking and killing ----------------------------------------------------------------------------------------------


def _workers() -> Iterator[psutil.Process]:
    for process in psutil.Process().children(recursive=True):
        with _gone_is_fine():
            yield process


def _kill(title: str) -> None:
    """kill -9 the workers whose titles begin so, as soon as there is one."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        for process in _workers():
            with _gone_is_fine():
                if command_of(process)[0].startswith(title):
                    found.append(process)
        return bool(found)

    until(is_there, f"a process {title}", LIMIT_S)
    for process in found:
        process.kill()


@contextmanager
def _halted_forge() -> Iterator[None]:
    """The builder's forge stands still; it ends when it goes on and finds its owner gone."""
    forges = []
    for process in _workers():
        with _gone_is_fine():
            owner = process.parent()
            is_forge = "sweep.toolchain.compile_workers.server" in command_of(process)
            if is_forge and owner is not None and command_of(owner)[0].startswith("ray::BuilderActor"):
                forges.append(process)
    (forge,) = forges
    forge.suspend()
    try:
        yield
    finally:
        forge.resume()
    until(lambda: is_gone(forge), "the end of a forge without an owner", LIMIT_S)


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except (psutil.NoSuchProcess, IndexError):
        return


def _has_trials(reports: list[Report], shop: Shop) -> bool:
    reports.extend(shop.engine.poll(0.5))
    return any(isinstance(report, Progress) and report.info["valid"] > 0 for report in reports)


def _reports(shop: Shop) -> list[Report]:
    reports: list[Report] = []

    def is_over() -> bool:
        reports.extend(shop.engine.poll(0.5))
        return bool(ends(reports))

    until(is_over, "the end of the attempt", LIMIT_S)
    return reports


def _assert_lost(reports: list[Report], stage: Stage) -> None:
    (end,) = ends(reports)
    assert isinstance(end, Failed), end
    assert (end.stage_id, end.error_class) == (stage.id, "EngineError")
    assert "worker lost" in end.error
    assert "\n" not in end.error


def _works_again(shop: Shop, stage: Stage) -> None:
    again = ends(shop.perform(shop.attempt(stage, number=22)))
    assert [type(report) for report in again] == [Done], again
