"""MLflow's UI on a sweep's own store: how its server is started, and where it shows what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sweep.api.session.connectivity import check_port_is_free
from sweep.api.session.table_cache import known_server
from sweep.errors import LedgerError
from sweep.files.sweep_dir import SweepDir
from sweep.running.ledger.saved_plan import read_plan

__all__ = ["UiServer", "ui_server"]


@dataclass(frozen=True, slots=True)
class UiServer:
    """A server that can be started."""

    command: list[str]
    environment: Mapping[str, str]
    """To be added to the process's own."""
    address: str
    views: Mapping[str, str]
    """Addresses of the sweep's cells, of its charts and of the cells that failed; and of its page, where there is one,
    whose links then lead to this server."""


def ui_server(sweep_dir: Path | str, *, port: int = 5000) -> UiServer:
    """The server of a sweep's own store on a port of loopback; nothing is started. A store that was moved or copied
    with its folder is pointed to the artifacts that lie there now.

    Raises:
        RecordError: the store has artifacts elsewhere, or was moved and cannot be written.
        StudyError: the folder is not a sweep directory, or the port is taken.
        LedgerError: the sweep has no store of its own: it says where its runs are, or how one is made.
    """
    from sweep.record.mlflow.tracking_store import bring_home, embedded_store, experiment_of, ui_command, ui_environment
    from sweep.record.mlflow.ui_view import FAILED, view_path

    sweep_dir = Path(sweep_dir)
    SweepDir(sweep_dir).require_as("DIR")
    experiment = experiment_of(sweep_dir, str(read_plan(sweep_dir)["study"]))
    if experiment is None:
        server = known_server(sweep_dir)
        where = f"its runs are on {server}" if server else f"`sweep mirror {sweep_dir}` makes one"
        raise LedgerError(f"{sweep_dir} has no MLflow store of its own: {where}")
    check_port_is_free(port, "--port")
    bring_home(*embedded_store(sweep_dir))
    address = f"http://127.0.0.1:{port}"
    views = {
        "cells": f"{address}{view_path(experiment)}",
        "charts": f"{address}{view_path(experiment, charts=True)}",
        "failed": f"{address}{view_path(experiment, FAILED)}",
    }
    page = SweepDir(sweep_dir).report / "index.html"
    if page.is_file():
        views["report"] = f"{page.resolve().as_uri()}?ui={port}"
    return UiServer(ui_command(sweep_dir, port=port), ui_environment(), address, views)
