"""Finds one wrong byte in a line of the ledger by the line's own checksum, and puts it right.

CRC-32 is linear: the checksum of a line with one wrong byte differs from the right line's by a value that depends on
the place and on the difference alone. So one pass back through the line finds the place. That another single byte fits
by chance has a probability of 255 x length / 2^32; the repaired line must be an event besides.

Each way is one pass, and holds one candidate at a time: a line that somebody made up costs time by its length alone.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["mended"]

Decode = Callable[[bytes], "dict[str, Any] | None"]

_SUFFIX = b',"crc":"00000000"}\n'
"""How each line ends, with its checksum in place of the zeros."""
_SEAM = re.compile(rb',"crc":"([0-9a-f]{8})"\}[^\n]\{')
"""Where two lines meet whose line break is another byte now."""
_MOST_FITTING = 4
"""Of one line: by chance there is one more in 250,000 lines of 64 KiB, and each is decoded."""


def mended(raw: bytes, decode: Decode) -> list[tuple[bytes, Mapping[str, Any]]]:
    """The line, or two lines, that `raw` was before one byte of it changed, with their events; empty if there is none.

    `raw` may hold a line break in its middle: a byte can have become one, as a line break can have become another byte.
    """
    for ways in (_single, _pairs):
        for lines in ways(raw):
            events = [decode(line) for line in lines]
            found: list[tuple[bytes, Mapping[str, Any]]] = []
            found += [(line, event) for line, event in zip(lines, events, strict=True) if event is not None]
            if len(found) == len(lines):
                return found
    return []


def _single(raw: bytes) -> Iterator[list[bytes]]:
    """Candidates for one whole line."""
    if len(raw) <= len(_SUFFIX):
        return
    body, suffix = raw[: -len(_SUFFIX)] + b"}", raw[-len(_SUFFIX) :]
    right = _suffix(zlib.crc32(body))
    if sum(a != b for a, b in zip(suffix, right, strict=True)) == 1:
        yield [raw[: -len(_SUFFIX)] + right]
        return
    try:
        stated = int(suffix[8:16], 16)
    except ValueError:
        return
    if suffix == _suffix(stated):
        fitting = 0
        for offset, difference in _wrong_bytes(zlib.crc32(body) ^ stated, len(body)):
            if offset < len(body) - 1:  # the last one is not in the file
                fitting += 1
                if fitting > _MOST_FITTING:
                    return
                yield [raw[:offset] + bytes([raw[offset] ^ difference]) + raw[offset + 1 :]]


def _pairs(raw: bytes) -> Iterator[list[bytes]]:
    """Candidates for two lines whose line break is another byte now: the first one has its right checksum."""
    checked, crc = 0, 0
    for seam in _SEAM.finditer(raw):
        crc, checked = zlib.crc32(memoryview(raw)[checked : seam.start()], crc), seam.start()
        if zlib.crc32(b"}", crc) == int(seam[1], 16):
            end = seam.end() - 2
            yield [raw[:end] + b"\n", raw[end + 1 :]]


def _suffix(crc: int) -> bytes:
    return f',"crc":"{crc:08x}"}}\n'.encode()


def _wrong_bytes(syndrome: int, length: int) -> Iterator[tuple[int, int]]:
    """Places and differences of single bytes that change the checksum of a text of this length by `syndrome`."""
    differences = {value: difference for difference, value in enumerate(_TABLE) if difference}
    for offset in range(length - 1, -1, -1):
        if syndrome in differences:
            yield offset, differences[syndrome]
        index = _BY_TOP[syndrome >> 24]
        syndrome = ((syndrome ^ _TABLE[index]) << 8 | index) & 0xFFFFFFFF


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xEDB88320 if byte & 1 else 0)
    return byte


_TABLE = [_entry(byte) for byte in range(256)]
_BY_TOP = {value >> 24: byte for byte, value in enumerate(_TABLE)}
"""The highest byte of an entry names it, which is what lets the checksum be run backwards."""
