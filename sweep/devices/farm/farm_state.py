"""Reads `farm.json`, which the supervisor of a farm writes and anybody may have damaged."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.devices.processes import ProcessId
from sweep.files.typed_json import WrongContent, as_type, parsed, read_as

__all__ = ["STATE_FILE", "read_state", "supervisor_in"]

STATE_FILE = "farm.json"


@dataclass(frozen=True, slots=True)
class _Tracker:
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class _Process:
    name: str
    key: str | None
    process: ProcessId | None
    restarts: int = 0
    last_exit: str | None = None


@dataclass(frozen=True, slots=True)
class _State:
    warden: ProcessId
    owner: ProcessId
    tracker: _Tracker
    processes: tuple[_Process, ...]


def read_state(state_dir: Path) -> dict[str, Any] | None:
    """What a farm has written there; None where it has written nothing, or nothing that can be read.

    A farm ends with its owner by itself, so that a file that a power cut has emptied keeps nobody from starting one.
    """
    path = state_dir / STATE_FILE
    try:
        state: dict[str, Any] = as_type(dict[str, Any], parsed(path.read_bytes()))
        read_as(_State, state)
    except FileNotFoundError:
        return None
    except (OSError, WrongContent) as error:
        logging.getLogger(__name__).warning("%s: is damaged (%s); it is taken for no farm", path, error)
        return None
    return state


def supervisor_in(path: Path) -> ProcessId | None:
    """The supervisor that a state file names; None where it cannot be read."""
    try:
        state: Mapping[str, Any] = as_type(dict[str, Any], parsed(path.read_bytes()))
        return read_as(ProcessId, state.get("warden"))
    except (OSError, WrongContent):
        return None
