"""What recording in MLflow costs a sweep: the same simulated sweep in turns with MLflow on and off.

The work does nothing for a quarter of a second, on 16 workers at once, so that cells settle faster than they would on
dozens of boards; with a server on the same cores, which takes some 17 cells a second, for a second and a half. A
sweep's time is that of the whole command `sweep run`, from the interpreter's start to the report and the last run in
MLflow; its loop, from the ledger's first event to its last, is told apart. Pairs begin with the one and with the
other in turn, after one run to warm up.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.driver import WORKERS, study_of
from benchmarks.results import conditions, print_table, save
from sweep.errors import RecordError
from sweep.record.mlflow.tracking_store import embedded_store, open_client, ui_environment
from sweep.running.ledger.ledger import read_ledger

__all__ = ["BAR", "SIZES", "Timed", "bench_recording", "ratios"]

SIZES = {"sqlite": (7, 0.25), "http": (2, 1.5)}
"""Pairs, and seconds of work, by store: some eight minutes each. A server is sent 11 cells a second, a file 64."""
BAR = 1.05
"""A sweep with MLflow may take so many times as long as one without."""
_SERVER_LIMIT_S = 120.0
_PARTS = ("wall", "start", "loop", "end", "cpu")


@dataclass(frozen=True, slots=True)
class Timed:
    """One sweep."""

    is_recorded: bool
    wall_s: float
    """From the start of the command to its end."""
    start_s: float
    """Until the ledger's first event: imports, the plan."""
    loop_s: float
    """Until its last: the sweep itself."""
    end_s: float
    """Until the command ends: MLflow's rest, tables, report."""
    cpu_s: float
    """Of the command and the process that writes MLflow; not of a server."""


def bench_recording(folder: Path, cells: int, pairs: int, seconds: float, store: str) -> list[Timed]:
    """Run all of it, print a table and save it.

    cells: a multiple of 100. seconds: that a cell's work takes. store: `sqlite`, in each sweep's own folder, or `http`,
    a tracking server in a process of its own on loopback, for all of them.
    """
    with _server(folder) if store == "http" else nullcontext() as uri:
        _sweep(folder / "warm-up", cells, seconds, is_recorded=True, uri=uri)
        found = []
        for pair in range(pairs):
            for is_recorded in (True, False) if pair % 2 == 0 else (False, True):
                home = folder / f"{pair}-{'on' if is_recorded else 'off'}"
                found.append(_sweep(home, cells, seconds, is_recorded=is_recorded, uri=uri))
                print(f"{home.name:>6}: {found[-1].wall_s:.1f} s, loop {found[-1].loop_s:.1f} s", flush=True)
    rows = [_row(part, found) for part in _PARTS]
    ideal_s = cells * seconds / WORKERS
    title = f"recording: {cells:,} cells in MLflow ({store}), {WORKERS} workers, work of {seconds:g} s"
    print_table(f"{title}, ideal {ideal_s:.1f} s", ("s", "off", "on", "on / off", "least", "most"), rows)
    told = {
        "sweeps": [asdict(one) for one in found],
        "ratios": {part: ratios(found, part) for part in _PARTS},
        "conditions": conditions(cells=cells, pairs=pairs, seconds=seconds, store=store, workers=WORKERS),
    }
    save(folder, f"recording-{store}", told)
    off, on = (median(values) for values in _apart(found, "wall"))
    ratio = on / off
    print(f"\nwith MLflow {ratio:.3f} times the time: {'within' if ratio <= BAR else 'beyond'} {BAR:g}")
    return found


def ratios(found: Sequence[Timed], part: str) -> list[float]:
    """On over off, of each pair; `part` is a field without its unit."""
    off, on = _apart(found, part)
    return [with_it / without for with_it, without in zip(on, off, strict=True)]


def _apart(found: Sequence[Timed], part: str) -> tuple[list[float], list[float]]:
    """Off and on, each in the order of the pairs."""
    off, on = ([getattr(one, f"{part}_s") for one in found if one.is_recorded is kind] for kind in (False, True))
    return off, on


def _row(part: str, found: Sequence[Timed]) -> tuple[str, ...]:
    """Medians and their ratio, and the ratios of single pairs that are least and most."""
    off, on = (median(values) for values in _apart(found, part))
    each = ratios(found, part)
    return (part, f"{off:.2f}", f"{on:.2f}", *(f"{value:.3f}" for value in (on / off, min(each), max(each))))


def _sweep(home: Path, cells: int, seconds: float, *, is_recorded: bool, uri: str | None) -> Timed:
    home.mkdir(parents=True)
    study, cluster, out = home / "study.yaml", home / "cluster.yaml", home / "sweep"
    study.write_text(json.dumps({**study_of(cells), "study": home.name}), encoding="utf-8")
    stage_s = {"import": 0, "lower": 0, "tune": 0, "build": 0, "measure": seconds}
    simulate = {"devices": 1, "slots": WORKERS, "stage_s": stage_s, "speed": 1}
    mlflow = {"enabled": is_recorded, "tracking_uri": uri}
    told = {"name": "recording", "engine": "simulated", "simulate": simulate, "mlflow": mlflow}
    cluster.write_text(json.dumps(told), encoding="utf-8")
    command = [sys.executable, "-m", "sweep", "run", str(study), "--cluster", str(cluster), "--out", str(out), "--json"]
    with (home / "log").open("wb") as log:
        cpu_s, begun_t, begun = _children_cpu_s(), time.time(), time.perf_counter()
        ended = subprocess.run(command, stdout=log, stderr=log, cwd=home, env=_environment(), check=False)
        wall_s = time.perf_counter() - begun
    if ended.returncode != 0:
        raise RuntimeError(f"sweep run ended with {ended.returncode}: {home / 'log'}")
    state = read_ledger(out)
    first_t, last_t = state.first_t or 0.0, state.last_t or 0.0
    if is_recorded and (count := _recorded(uri or embedded_store(out)[0], home.name)) != cells:
        raise RuntimeError(f"{count} of {cells} cells are in MLflow: {home / 'log'}")
    start_s, loop_s = first_t - begun_t, last_t - first_t
    return Timed(is_recorded, wall_s, start_s, loop_s, wall_s - start_s - loop_s, _children_cpu_s() - cpu_s)


def _recorded(uri: str, study: str) -> int:
    """Cells that are whole in MLflow."""
    client = open_client(uri)
    experiment = client.get_experiment_by_name(study)
    found, token = 0, None
    while experiment is not None:
        page = client.search_runs(
            [experiment.experiment_id], "attributes.status = 'FINISHED'", max_results=1000, page_token=token
        )
        found += sum("mlflow.parentRunId" in run.data.tags for run in page)
        token = page.token
        if not token:
            break
    return found


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """The address of a tracking server with MLflow's own number of workers, on SQLite."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    options = {
        "--backend-store-uri": f"sqlite:///{folder / 'server.db'}",
        "--artifacts-destination": str(folder / "server-artifacts"),
        "--host": "127.0.0.1",
        "--port": str(port),
    }
    command = [sys.executable, "-m", "mlflow", "server", *(word for pair in options.items() for word in pair)]
    uri = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=ui_environment(), stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + _SERVER_LIMIT_S
        while not _answers(uri):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RecordError(f"the MLflow server does not come up: {folder / 'server.log'}")
            time.sleep(0.1)
        yield uri
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, 15)
        server.wait()


def _answers(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _children_cpu_s() -> float:
    """Of all children that have ended, with theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}
