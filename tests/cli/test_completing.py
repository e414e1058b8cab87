"""What a real bash offers at the TAB key."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")

CLUSTER = (
    "name: c\nengine: simulated\ndevices: [{key: rasp4, target: arm/rasp4b64}, {key: tx2, target: arm/rasp4b64}]\n"
)


@pytest.fixture
def tab(here: Path) -> Callable[[str], list[str]]:
    """The answers to a line that ends where the TAB is pressed, after `sweep --install-completion bash`."""
    command = here / "bin" / "sweep"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sweep "$@"\n')
    command.chmod(0o755)
    environment = {
        **os.environ,
        "HOME": str(here),
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    subprocess.run([command, "--install-completion", "bash"], env=environment, cwd=here, check=True)
    script = (
        'source ~/.bash_completions/sweep.sh; read -ra COMP_WORDS <<< "$1"; '
        '[[ "$1" == *" " ]] && COMP_WORDS+=(""); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); '
        'complete -p sweep >/dev/null && _sweep_completion sweep; printf "%s\\n" "${COMPREPLY[@]}"'
    )

    def press(line: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", script, "bash", line], env=environment, cwd=here, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    return press


def test_commands_options_and_what_a_file_or_an_axis_knows(here: Path, tab: Callable[[str], list[str]]) -> None:
    (here / "boards.yaml").write_text(CLUSTER)
    assert tab("sweep sta") == ["status"]
    assert "--max-hours" in tab("sweep run study.yaml --max")
    assert tab("sweep exec lib.so -c boards.yaml --key ") == ["rasp4", "tx2"]
    assert tab("sweep exec lib.so -c boards.yaml --key t") == ["tx2"]
    assert tab("sweep exec lib.so -c nowhere.yaml --key ") == []
    assert tab("sweep plan study.yaml --only tuner=xgb,opt") == ["tuner=xgb,opt_level="]
    assert tab("sweep report out --format table,ht") == ["table,html"]
