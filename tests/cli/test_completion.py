"""What real shells offer at the TAB key."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

CLUSTER = (
    "name: c\nengine: simulated\ndevices: [{key: rasp4, target: arm/rasp4b64}, {key: tx2, target: arm/rasp4b64}]\n"
)


def installed(here: Path, shell: str) -> dict[str, str]:
    """The environment of a person who has typed `sweep --install-completion` in a shell, which it finds by itself."""
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
    subprocess.run([shell, "-c", "sweep --install-completion && true"], env=environment, cwd=here, check=True)
    return environment


@pytest.fixture
def tab(here: Path) -> Callable[[str], list[str]]:
    """The answers of bash to a line that ends where the TAB is pressed."""
    environment = installed(here, "bash")
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


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_commands_options_and_what_a_file_or_an_axis_knows(here: Path, tab: Callable[[str], list[str]]) -> None:
    (here / "boards.yaml").write_text(CLUSTER)
    assert tab("sweep sta") == ["status"]
    assert "--max-hours" in tab("sweep run study.yaml --max")
    assert tab("sweep exec lib.so -c boards.yaml --key ") == ["rasp4", "tx2"]
    assert tab("sweep exec lib.so -c boards.yaml --key t") == ["tx2"]
    assert tab("sweep exec lib.so -c nowhere.yaml --key ") == []
    assert tab("sweep plan study.yaml --only tuner=xgb,opt") == ["tuner=xgb,opt_level="]
    assert tab("sweep report out --format table,ht") == ["table,html"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_zsh_completes_a_line(here: Path) -> None:
    """At a terminal, since zsh completes nowhere else; with the settings that the installation writes. The first TAB of
    a shell only loads typer's script, so it is pressed until there is an answer.
    """
    (here / "boards.yaml").write_text(CLUSTER)
    environment = installed(here, "zsh")
    zsh, terminal = pty.fork()
    if zsh == 0:  # the child
        os.chdir(here)
        os.execvpe("zsh", ["zsh", "-i"], {**environment, "TERM": "dumb", "PS1": "$ "})
    try:
        shown = b""
        for typed, expected in (("sweep sta", "status "), ("\x15sweep exec x -c boards.yaml --key t", "tx2 ")):
            os.write(terminal, typed.encode())
            ends = time.monotonic() + 60
            while expected.encode() not in shown and time.monotonic() < ends:
                os.write(terminal, b"\t")
                while expected.encode() not in shown and select.select([terminal], [], [], 5.0)[0]:
                    shown += os.read(terminal, 4096)
            assert expected in shown.decode(), shown.decode()
    finally:
        os.kill(zsh, signal.SIGKILL)
        os.waitpid(zsh, 0)
        os.close(terminal)
