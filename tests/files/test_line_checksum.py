"""A changed bit in a line is seen, and lines of earlier versions are taken."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.files.line_checksum import is_as_written, with_checksum

FIELDS = st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False) | st.text(max_size=9) | st.none(), min_size=1)


@given(FIELDS)
def test_a_line_is_as_it_was_written_and_reads_as_json(fields: dict[str, object]) -> None:
    line = with_checksum(fields)

    assert is_as_written(line)
    assert is_as_written(f"{line}\n".encode())
    assert json.loads(line) | {"crc": ""} == fields | {"crc": ""}


@given(FIELDS, st.data())
def test_a_bit_that_changes_a_value_is_seen(fields: dict[str, object], data: st.DataObject) -> None:
    raw = bytearray(with_checksum(fields).encode())
    end = len(raw) - len(', "crc": "00000000"}')
    place = data.draw(st.integers(0, end - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))

    assert not is_as_written(bytes(raw))


@pytest.mark.parametrize("line", ['{"run_secs": [1e-6]}', "", "{", '{"crc": "x"}', b"\xff"])
def test_a_line_without_a_checksum_is_an_earlier_versions(line: str | bytes) -> None:
    assert is_as_written(line)


def test_nothing_cannot_be_checked() -> None:
    with pytest.raises(ValueError, match="nothing to check"):
        with_checksum({})
