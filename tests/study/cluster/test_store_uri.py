"""What names an MLflow store, and the server that is to answer."""

from __future__ import annotations

import pytest

from sweep.errors import StudyError
from sweep.study.cluster.store_uri import read_store_uri


@pytest.mark.parametrize(
    ("uri", "server"),
    [
        ("http://127.0.0.1:5000", ("127.0.0.1", 5000)),
        ("https://me:secret@mlflow.lab/base", ("mlflow.lab", 443)),
        ("postgresql+psycopg://me:secret@[::1]/mlflow", ("::1", 5432)),
        ("mysql://lab:3307/mlflow", ("lab", 3307)),
        ("postgresql:///mlflow?host=/run/postgresql", None),
        ("sqlite:////tmp/mlflow.db", None),
        ("sqlite:///mlflow.db", None),
    ],
)
def test_a_store_and_its_server(uri: str, server: tuple[str, int] | None) -> None:
    assert read_store_uri(uri, None, "--to") == server


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "mlruns",
        "./mlruns",
        "/tmp/x",
        "file:///tmp/x",
        "http://",
        "http:5000",
        "http://lab:x",
        "lab:5000",
        "s3://b/x",
    ],
)
def test_what_is_no_store(uri: str) -> None:
    with pytest.raises(
        StudyError, match=r"^--to: is no MLflow store .*; allowed: http://HOST:PORT of a tracking server"
    ):
        read_store_uri(uri, None, "--to")


def test_a_password_is_not_told() -> None:
    with pytest.raises(StudyError) as told:
        read_store_uri("postgre://me:secret@lab/mlflow", "cluster.yaml", "mlflow.tracking_uri")
    assert "cluster.yaml: mlflow.tracking_uri: is no MLflow store (got 'postgre://***@lab/mlflow')" in str(told.value)


@pytest.mark.parametrize("login", ["u:pa/ss", "u:12/34", "u:p@ss", "u:p?ss", "u:p#ss"])
def test_a_login_that_would_be_taken_apart_wrongly_is_refused(login: str) -> None:
    with pytest.raises(StudyError, match="login that is not percent-encoded") as told:
        read_store_uri(f"http://{login}@lab:5000", "cluster.yaml", "mlflow.tracking_uri")
    assert login not in str(told.value)
    assert login.partition(":")[2] not in str(told.value)
