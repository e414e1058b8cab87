"""A checksum at the end of a line of JSON, by which a changed bit is seen where it gives another value.

The last key is `crc`: CRC-32 of the object without it, eight hex digits, as in the ledger. A line without one is an
earlier version's, and is taken as it is.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

__all__ = ["is_as_written", "with_checksum"]

_END = re.compile(rb', "crc": "([0-9a-f]{8})"\}\s*$')


def with_checksum(fields: Mapping[str, Any]) -> str:
    """The line of an object, without its end. Raises ValueError for no fields at all, and as `json.dumps` does."""
    if not fields:
        raise ValueError("an empty object has nothing to check")
    body = json.dumps(fields)
    return f'{body[:-1]}, "crc": "{zlib.crc32(body.encode()):08x}"}}'


def is_as_written(line: bytes | str) -> bool:
    """Whether a line is as it was written, as far as it tells."""
    raw = line.encode(errors="surrogateescape") if isinstance(line, str) else line
    found = _END.search(raw)
    return found is None or zlib.crc32(raw[: found.start()] + b"}") == int(found[1], 16)
