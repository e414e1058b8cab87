from __future__ import annotations

from pathlib import Path

import pytest

from sweep.doctor import host_checks


@pytest.mark.parametrize(
    ("usable", "there", "quota", "ok", "said"),
    [
        (2, 2, None, True, "2 of 2"),
        (1, 64, None, None, "disturb"),
        (8, 8, 1.5, None, "quota of 1.5"),
        (8, 8, 8.0, True, "8 of 8"),
    ],
)
def test_cores(usable, there, quota, ok, said):
    finding = host_checks._check_cores(usable, there, quota)
    assert finding.ok is ok
    assert said in finding.detail
    assert bool(finding.mend) is (ok is not True)


@pytest.mark.parametrize(("available_gib", "ok"), [(16.0, True), (2.0, None), (0.3, False)])
def test_memory(available_gib, ok):
    assert host_checks._check_memory(available_gib).ok is ok


@pytest.mark.parametrize(("free_gib", "ok"), [(100.0, True), (1.0, None), (0.1, False)])
def test_disk(monkeypatch, tmp_path, free_gib, ok):
    usage = type("Usage", (), {"free": free_gib * host_checks.GIB})
    monkeypatch.setattr(host_checks.shutil, "disk_usage", lambda path: usage)
    finding = host_checks._check_disk(tmp_path)
    assert finding.ok is ok
    assert str(tmp_path) in finding.detail


def test_a_folder_that_is_not_there_or_not_ours(tmp_path):
    finding = host_checks._check_disk(tmp_path / "gone")
    assert finding.ok is False
    assert "--out" in finding.mend


def test_no_shared_memory_is_no_reason_to_stop():
    assert host_checks._check_shared_memory(Path("/dev/nothing-here")).ok is None


def test_loopback_works_here():
    assert host_checks._check_ports().ok is True
