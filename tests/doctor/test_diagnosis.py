from __future__ import annotations

import json

import pytest

from sweep.doctor import diagnosis
from sweep.doctor.finding import Finding

GOOD = Finding("cores", True, "2 of 2 usable")
NOTE = Finding("memory", None, "2.0 GiB available", "free some")
BAD = Finding("tvm", False, "crashed with SIGSEGV", "pip install [something]")


@pytest.mark.parametrize(
    ("findings", "code"),
    [([], 0), ([GOOD], 0), ([GOOD, NOTE], 0), ([GOOD, BAD, NOTE], 1)],
    ids=["none", "good", "note", "bad"],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_exit_code_and_output(monkeypatch, capsys, findings, code, as_json):
    monkeypatch.setattr(diagnosis, "CHECKS", [lambda: findings])
    assert diagnosis.run_doctor(json=as_json) == code
    output = capsys.readouterr().out
    if as_json:
        answer = json.loads(output)
        assert answer["ok"] is (code == 0)
        assert [found["mend"] for found in answer["findings"]] == [finding.mend for finding in findings]
    else:
        assert all(finding.detail in output and finding.mend in output for finding in findings)
        assert ("nothing to mend" in output) is (code == 0)


def test_a_check_without_its_package_does_not_end_the_others(monkeypatch):
    def check_memory() -> list[Finding]:
        raise ModuleNotFoundError("No module named 'psutil'", name="psutil")

    monkeypatch.setattr(diagnosis, "CHECKS", [check_memory, lambda: [GOOD]])
    broken, good = diagnosis.diagnose()
    assert (broken.check, broken.ok, broken.mend) == ("memory", False, "pip install psutil")
    assert good == GOOD
