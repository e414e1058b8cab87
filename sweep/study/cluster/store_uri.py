"""The URI of an MLflow store, as a person writes it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from sweep.errors import StudyError

__all__ = ["read_store_uri"]

_SERVERS = ("http", "https")
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
"""Each may name its driver, as in `postgresql+psycopg`."""
_ALLOWED = "http://HOST:PORT of a tracking server, sqlite:////PATH.db, or postgresql://USER:PASSWORD@HOST/NAME"


def read_store_uri(text: str, file: Path | str | None, key: str) -> tuple[str, int] | None:
    """Host and port of the server that it names, if it does, by its form alone. Raises StudyError."""
    login = text.partition("://")[2].rpartition("@")[0]
    if re.search(r"[/?#@]", login) and not text.startswith("sqlite"):  # MLflow would take a part of it for the host
        allowed = "%2F for /, %40 for @, %3F for ?, %23 for #"
        raise StudyError("has a login that is not percent-encoded", file=file, key=key, value=text, allowed=allowed)
    try:
        url = urlsplit(text)
        kind, host, port = url.scheme.partition("+")[0], url.hostname or "", url.port
    except ValueError:  # such as a port that is no number
        kind, host, port = "", "", None
    is_known = host if kind in _SERVERS else text.partition("://")[2] and kind in _DATABASES
    if not is_known:
        raise StudyError("is no MLflow store", file=file, key=key, value=text, allowed=_ALLOWED)
    usual = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
    return (host, port or usual[kind]) if host and kind in usual else None
