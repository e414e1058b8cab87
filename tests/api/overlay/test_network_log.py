from __future__ import annotations

from pathlib import Path

from sweep.api.overlay.network_log import NetworkLog


def test_a_later_overlay_knows_what_was_measured_but_for_damaged_lines(tmp_path: Path) -> None:
    log = NetworkLog(tmp_path)
    for second in (1.0, 2.0, 3.0):
        log.add("a", "artifacts/build/1", "merged", {"run_secs": [second]})
    log.add("b", "artifacts/build/1", "own", {"run_secs": [4.0]})
    assert [one["run_secs"] for one in log.of("a", "artifacts/build/1")] == [[1.0], [2.0], [3.0]]
    lines = (tmp_path / "networks.jsonl").read_text().splitlines()
    (tmp_path / "networks.jsonl").write_text("\n".join([lines[0], lines[1][:30], "[]", lines[2], lines[3][:-1]]))
    again = NetworkLog(tmp_path)
    assert [one["run_secs"] for one in again.of("a", "artifacts/build/1")] == [[1.0], [3.0]]
    assert again.of("b", "artifacts/build/1") == []
    again.add("b", "artifacts/build/1", "own", {"run_secs": [5.0]})
    assert NetworkLog(tmp_path).of("b", "artifacts/build/1") == [{"run_secs": [5.0]}]
