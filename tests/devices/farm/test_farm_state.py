"""A power cut may leave an empty farm.json, and anybody a wrong one: neither keeps a farm from coming up."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from sweep.devices.farm.farm import Farm
from sweep.devices.farm.farm_registry import announced, farms_announced
from sweep.devices.farm.farm_state import read_state, supervisor_in
from sweep.devices.processes import identify
from sweep.study.gate import local_cluster

PROCESS = {"pid": 1, "start_ticks": 2, "boot_id": "x"}
WHOLE: dict[str, Any] = {
    "owner": PROCESS,
    "warden": PROCESS,
    "tracker": {"host": "127.0.0.1", "port": 9190},
    "processes": [{"name": "here-0-0", "key": "here", "port": 9, "process": None, "restarts": 0, "last_exit": None}],
}
DAMAGED = [
    b"",
    b"\0" * 300,
    b"{",
    b"[]",
    b"[" * 9_000,
    json.dumps({**WHOLE, "warden": 3}).encode(),
    json.dumps({**WHOLE, "processes": [{"name": "a"}, 3]}).encode(),
    json.dumps({**WHOLE, "tracker": {"host": None}}).encode(),
]


def test_a_whole_one_is_read(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    (tmp_path / "farm.json").write_text(json.dumps({**WHOLE, "newer": 1}))
    assert read_state(tmp_path) == {**WHOLE, "newer": 1}


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_one_is_no_farm(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "farm.json"
    path.write_bytes(content)
    farm = Farm(local_cluster(), tmp_path)
    assert farm.status().keys == {}
    assert f"{path}: is damaged" in caplog.text
    farm.down()
    assert not path.exists()


def test_a_process_that_is_no_farms_is_not_ended_whatever_a_folder_says(tmp_path: Path) -> None:
    """Boot and start of a process are for all users of a host to read, and a folder may have come from one of them."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as bystander:
        found = identify(bystander.pid)
        assert found is not None
        (process,) = WHOLE["processes"]
        state = {**WHOLE, "warden": asdict(found), "processes": [{**process, "process": asdict(found)}]}
        (tmp_path / "farm.json").write_text(json.dumps(state))

        Farm(local_cluster(), tmp_path).down()

        assert bystander.poll() is None
        bystander.kill()
    assert not (tmp_path / "farm.json").exists()


@pytest.mark.parametrize("content", DAMAGED)
def test_who_looks_for_farms_passes_it_by(tmp_path: Path, content: bytes) -> None:
    state_dir, registry = tmp_path / "state", tmp_path / "registry"
    state_dir.mkdir()
    (state_dir / "farm.json").write_bytes(content)
    registry.mkdir()
    (registry / "a.json").write_bytes(content)
    with announced(registry, tmp_path / "cluster.yaml", state_dir):
        assert farms_announced(registry, tmp_path / "cluster.yaml") == []
    supervisor = supervisor_in(state_dir / "farm.json")
    assert supervisor is None or supervisor.pid == 1
