"""Devices, clusters and misbehaving code to make farms of."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweep.study.cluster.cluster import Cluster, Device, RayOptions, Simulate, Tracker

LAST_CORE = max(os.sched_getaffinity(0))
ALL_CORES = tuple(sorted(os.sched_getaffinity(0)))[-2:]

CRASH = "__builtin_trap();"
HANG = 'for (;;) __asm__ volatile("");'
RAISE = "return -1;"


def waits_for(path: Path, comes: Path | None = None) -> str:
    """The body of a candidate that says by a file that it runs, and goes on once another file is there."""
    says = "" if comes is None else f'extern int creat(const char *, unsigned); creat("{comes}", 0600);'
    looks = "extern int access(const char *, int); extern int usleep(unsigned);"
    return f'{says} {looks} while (access("{path}", 0)) usleep(1000);'


def make_device(key: str, cores: tuple[int, ...] = (LAST_CORE,), **changed: Any) -> Device:
    fields = {"target": {"kind": "llvm"}, "threads": len(cores), "managed": True} | changed
    return Device(key=key, cores=cores, **fields)


PATIENCE_S = 60.0
"""What should come comes long before, also on a busy machine."""


def make_cluster(*devices: Device, tracker: Tracker | None = None) -> Cluster:
    return Cluster(
        name="test",
        engine="inline",
        tracker=tracker or Tracker("127.0.0.1", 0, True),
        devices=devices,
        ray=RayOptions(),
        mlflow_uri=None,
        simulate=Simulate(devices=1, slots=1, stage_s={}, failure_rate=0.0, seed=0, speed=0.0),
        path=Path("test.yaml"),
    )


def until(condition: Callable[[], bool], what: str, limit_s: float = PATIENCE_S) -> None:
    """Wait for a condition; the test fails with `what` when it never comes."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)
