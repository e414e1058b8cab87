"""The form of what sweep writes, by an id that stands in the file itself, as `$id` stands in a JSON schema.

An id has the version of the form. Whoever reads a file refuses a newer one; a file without any is of the first.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["SCHEMA_KEY", "TABLE_VERSION", "VERSION_KEY", "schema_id", "table_version"]

SCHEMA_KEY, VERSION_KEY = b"sweep.schema", b"sweep.version"
"""Where the metadata of each table keeps its id, and its version alone."""
TABLE_VERSION = 1
"""It is raised where a reader of the former one would misread a table; further columns are no reason."""


def schema_id(what: str, version: int) -> str:
    """The id of a form: `urn:tvm-sweep:ledger:1`."""
    return f"urn:tvm-sweep:{what}:{version}"


def table_version(metadata: Mapping[bytes, bytes] | None) -> str:
    """The version that the metadata of a table tells, as it stands there; of an earlier one, which told none, 1."""
    return (metadata or {}).get(VERSION_KEY, b"1")[:20].decode(errors="replace")
