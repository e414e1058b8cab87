"""The sweep's own MLflow store lies in its directory, whatever that is called, and keeps its artifacts there."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.api.commands.ui import ui_server
from sweep.errors import RecordError
from sweep.record.mlflow.tracking_store import _sqlite_path, bring_home, embedded_store

GOLDEN = Path(__file__).parents[2] / "golden" / "sweep-4932e56"
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1).filter(
    lambda name: name not in (".", "..")
)


@given(NAMES)
def test_a_store_is_where_its_folder_is_for_sqlalchemy_too(name: str) -> None:
    from sqlalchemy.engine import make_url

    uri, _ = embedded_store(Path("/sweeps") / name)

    assert make_url(uri).database == f"/sweeps/{name}/mlflow.db"
    assert _sqlite_path(uri) == Path(f"/sweeps/{name}/mlflow.db")


def store_with(folder: Path, location: str, uri: str) -> Path:
    """As much of MLflow's tables as says where artifacts are."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as made, made:
        made.execute(
            "CREATE TABLE experiments (experiment_id INTEGER, name TEXT, artifact_location TEXT, lifecycle_stage TEXT)"
        )
        made.execute("CREATE TABLE runs (artifact_uri TEXT, lifecycle_stage TEXT)")
        made.execute("INSERT INTO experiments VALUES (0, 'Default', '/elsewhere/mlruns/0', 'deleted')")
        made.execute("INSERT INTO experiments VALUES (1, 'golden', ?, 'active')", (location,))
        made.execute("INSERT INTO runs VALUES (?, 'active')", (uri,))
    return folder / "mlflow.db"


def _locations(store: Path) -> list[str]:
    with closing(sqlite3.connect(store)) as read:
        return [
            location
            for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri"))
            for (location,) in read.execute(f"SELECT {column} FROM {table} WHERE lifecycle_stage = 'active'")
        ]


@pytest.mark.parametrize(
    ("location", "uri"),
    [
        ("file:///home/victim/.config", "{}/run/artifacts"),
        ("{}", "file:///home/victim/.config"),
        ("{}", "{}/../../outside"),
        ("{}", "{}/%2e%2e/%2e%2e/outside"),
        ("{}x", "{}/run/artifacts"),
        ("{}", "s3://bucket/x"),
        ("", "{}/run/artifacts"),
    ],
)
def test_a_store_that_came_with_artifacts_elsewhere_is_refused(location: str, uri: str, tmp_path: Path) -> None:
    tracking_uri, root = embedded_store(tmp_path)
    store = store_with(tmp_path, location.format(root), uri.format(root))

    with pytest.raises(RecordError, match=r"mlflow\.db has artifacts at .*, outside its sweep directory") as refused:
        bring_home(tracking_uri, root)

    assert "\n" not in str(refused.value)
    assert _locations(store) == [location.format(root), uri.format(root)]


def test_the_ui_of_a_copy_shows_the_artifacts_of_the_copy(tmp_path: Path) -> None:
    former = "file:///somewhere/else/mlartifacts"
    for name in ("ledger.jsonl", "plan.json"):
        shutil.copyfile(GOLDEN / name, tmp_path / name)
    store = store_with(tmp_path, former, f"{former}/run/artifacts")

    page = tmp_path / "report" / "index.html"
    page.parent.mkdir()
    page.write_text("")
    server = ui_server(tmp_path, port=45678)
    assert server.views["report"] == f"{page.as_uri()}?ui=45678"

    root = embedded_store(tmp_path)[1]
    assert _locations(store) == [root, f"{root}/run/artifacts"]
