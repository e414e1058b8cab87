from __future__ import annotations

import os
from pathlib import Path

from sweep.doctor.cluster_checks import check_cluster


def written(folder: Path, text: str) -> Path:
    (folder / "clusters").mkdir()
    (folder / "clusters" / "local.yaml").write_text(text)
    return folder


def test_without_a_cluster_file_it_says_what_is_taken_and_how_to_get_one(tmp_path: Path) -> None:
    (finding,) = check_cluster(tmp_path)
    assert finding.ok is None
    assert f"one device on this machine, `here` on core {max(os.sched_getaffinity(0))}" in finding.detail
    assert "`sweep init`" in finding.mend


def test_the_devices_of_the_file_are_named(tmp_path: Path) -> None:
    (finding,) = check_cluster(written(tmp_path, "name: c\ndevices: [{key: a}, {key: b}]\n"))
    assert (finding.ok, finding.detail) == (True, "clusters/local.yaml: a, b")


def test_a_file_that_commands_would_refuse_is_wrong(tmp_path: Path) -> None:
    (finding,) = check_cluster(written(tmp_path, "name: c\n"))
    assert finding.ok is False
    assert "clusters/local.yaml:1: devices: is missing or empty" in finding.detail
