"""How large what a zip file holds becomes: a thousand times its size, if somebody means it."""

from __future__ import annotations

import zipfile

__all__ = ["check_unpacked"]

_FREE_BYTES = 1 << 30
_MOST_TIMES = 100
"""Of the packed size, above that. Our arrays are not packed, and libraries and texts become 2 to 20 times as large."""
_MOST_MEMBERS = 100_000


def check_unpacked(archive: zipfile.ZipFile) -> None:
    """Raises ValueError where an archive says that it becomes larger than any that we have written."""
    members = archive.infolist()
    packed = sum(member.compress_size for member in members)
    unpacked = sum(member.file_size for member in members)
    if len(members) > _MOST_MEMBERS or unpacked > _FREE_BYTES + _MOST_TIMES * packed:
        counted = "1 file" if len(members) == 1 else f"{len(members):,} files"
        raise ValueError(f"it has {counted} of {unpacked:,} bytes in all, of {packed:,} packed ones")
