"""Who has which core of this host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sweep.engine import site as sites
from sweep.engine.site import Site, compile_cores_of, host_lock_dir, lent_cores_of
from tests.devices.parts import make_cluster, make_device

CASES = [
    # cores of the host, devices, cores of search and builds, whether shared, lent, own slots of two wanted
    ({0, 1}, [((1,), True), ((1,), True)], (0,), False, (1,), 2),
    ({0, 1}, [((1,), True), ((1,), False)], (0,), False, (), 2),
    ({0, 1, 2, 3}, [((2,), True), ((3,), False)], (0, 1), False, (2,), 2),
    ({0, 1}, [((1, 5), True)], (0,), False, (1,), 2),
    ({0}, [((0,), True)], (0,), True, (0,), 0),
    ({0}, [((0,), False)], (0,), True, (), 2),
]


@pytest.mark.parametrize(("host", "devices", "rest", "shared", "lent", "slots"), CASES)
def test_each_core_has_its_use(
    host: set[int],
    devices: list[tuple[tuple[int, ...], bool]],
    rest: tuple[int, ...],
    shared: bool,
    lent: tuple[int, ...],
    slots: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: host)
    elsewhere = make_device("pi", (0, 1), managed=False)
    cluster = make_cluster(
        *(make_device(str(n), cores, lend=lends) for n, (cores, lends) in enumerate(devices)), elsewhere
    )
    assert compile_cores_of(cluster) == (rest, shared)
    assert lent_cores_of(cluster) == lent
    site = Site(Path(), Path(), "127.0.0.1", 0, {}, rest, shared, lent)
    assert site.own_slots(2) == slots
    assert site.free_cores == (() if shared else rest)


def test_hosts_that_share_a_home_do_not_share_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    here = host_lock_dir()
    assert here == host_lock_dir()
    assert tmp_path in here.parents
    monkeypatch.setattr(sites, "boot_id", lambda: "11111111-2222-3333-4444-555555555555")
    assert host_lock_dir() != here
