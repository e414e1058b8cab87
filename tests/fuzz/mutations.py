"""Changes of files: what disks, editors, other programs and people who mean harm do to them.

Each takes the content and a seeded generator, and gives the new content. Those of a structure (JSON, the ledger, YAML,
Parquet) keep the file readable and change what is in it, since what is not readable is refused at once.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import yaml

__all__ = ["mutated"]

Mutation = Callable[[bytes, Random], bytes]

_MOST_CHANGES = 3
ODD: Sequence[Any] = (
    None, True, False, 0, -1, 1, 2, 10**30, -(2**63), 1.5, -0.0, 1e308, 1e-320, "", "x", "-", "0", "../x", "/", "a\nb",
    "\x1b[2J", "ä€😀", "=1+1", "<script>", "x" * 3_000, [], {}, [[]], [None], ["x"], {"x": {}}, [1, "a"], "2", "native",
)  # fmt: skip
"""Values of which some reader expects none."""


def mutated(path: Path, content: bytes, draw: Random) -> bytes:
    """Some change of a file's content, by the kind of file."""
    ways = [*_OF_BYTES, *_OF_KIND.get(path.suffix, ()) * 3]
    if path.name == "ledger.jsonl":
        ways += [_ledger_types] * 8
    try:
        return draw.choice(ways)(content, draw)
    except Exception:  # it has no such structure
        return _flip(content, draw)


# -- bytes ------------------------------------------------------------------------------------------------------------


def _flip(content: bytes, draw: Random) -> bytes:
    data = bytearray(content or b"\n")
    for _ in range(draw.randint(1, _MOST_CHANGES)):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def _cut(content: bytes, draw: Random) -> bytes:
    return content[: draw.randrange(len(content) + 1)]


def _zeros(content: bytes, draw: Random) -> bytes:
    begin = draw.randrange(len(content) + 1)
    length = min(draw.choice([8, 512, 4096]), len(content) - begin)
    return content[:begin] + bytes(length) + content[begin + length :]


def _moved(content: bytes, draw: Random) -> bytes:
    begin, length, to = draw.randrange(len(content) + 1), draw.randrange(64), draw.randrange(len(content) + 1)
    return content[:to] + content[begin : begin + length] + content[to:]


def _nothing(content: bytes, draw: Random) -> bytes:
    return draw.choice([b"", b"\0", b"\xff\xfe", b"{}", b"[]", b"null\n", b"[" * 5_000, b'{"a":' * 5_000])


def _lines(content: bytes, draw: Random) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    for _ in range(draw.randint(1, _MOST_CHANGES)):
        at, other = draw.randrange(len(lines)), draw.randrange(len(lines))
        change = draw.randrange(5)
        if change == 0 and len(lines) > 1:
            del lines[at]
        elif change == 1:
            lines.insert(other, lines[at])
        elif change == 2:
            lines[at], lines[other] = lines[other], lines[at]
        elif change == 3:
            lines[at] = lines[at][: draw.randrange(len(lines[at]) + 1)]
        else:
            lines[at] = lines[at].rstrip(b"\n") + lines[other]
    return b"".join(lines)


_OF_BYTES: Sequence[Mutation] = (_flip, _flip, _cut, _zeros, _moved, _nothing, _lines, _lines)


# -- JSON and the ledger ----------------------------------------------------------------------------------------------


def _changed(value: Any, draw: Random) -> Any:
    """The value with one of its parts gone, doubled, or something else."""
    places = list(_places(value))
    if not places:
        return draw.choice(ODD)
    for _ in range(draw.randint(1, _MOST_CHANGES)):
        inside, key = draw.choice(places)
        change = draw.randrange(6)
        try:
            if change == 0:
                del inside[key]
            elif change == 1 and isinstance(inside, dict):
                inside[draw.choice(["x", str(key).upper(), str(key)[:-1]])] = inside.pop(key)
            elif change == 2 and isinstance(inside, list):
                inside.append(inside[key])
            elif change == 3 and isinstance(inside[key], (int, float)):
                inside[key] *= draw.choice([-1, 0, 1e-9, 1e9, 2, 0.5])
            elif change == 4 and isinstance(inside[key], str):
                inside[key] = draw.choice([inside[key][:-1], inside[key] * 2, inside[key] + "\n", "../" + inside[key]])
            else:
                inside[key] = draw.choice(ODD)
        except (KeyError, IndexError):  # a change before has taken it away
            continue
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


def _json_types(content: bytes, draw: Random) -> bytes:
    return json.dumps(_changed(json.loads(content), draw)).encode()


def _json_line_types(content: bytes, draw: Random) -> bytes:
    lines = content.splitlines()
    at = draw.randrange(len(lines))
    lines[at] = json.dumps(_changed(json.loads(lines[at]), draw)).encode()
    return b"\n".join(lines) + b"\n"


def _ledger_types(content: bytes, draw: Random) -> bytes:
    """A line with other values, and the checksum of those."""
    lines = content.splitlines()
    at = draw.randrange(len(lines))
    event = json.loads(lines[at])
    del event["crc"]
    seq = event["seq"]
    event = _changed(event, draw)
    if isinstance(event, dict) and draw.random() < 0.9:
        event["seq"] = seq
    body = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    lines[at] = f'{body[:-1]},"crc":"{zlib.crc32(body.encode()):08x}"}}'.encode()
    return b"\n".join(lines) + b"\n"


# -- YAML -------------------------------------------------------------------------------------------------------------


def _yaml_types(content: bytes, draw: Random) -> bytes:
    return yaml.safe_dump(_changed(yaml.safe_load(content), draw), allow_unicode=True).encode()


def _yaml_text(content: bytes, draw: Random) -> bytes:
    """A token that YAML reads in its own way."""
    at = draw.randrange(len(content) + 1)
    tokens = [
        "&a ",
        "*a ",
        "!!python/object:x.y ",
        "!!binary ",
        "<<: ",
        "? ",
        "- ",
        "\t",
        "{",
        "[",
        "'",
        '"',
        "| ",
        "%",
    ]
    return content[:at] + draw.choice(tokens).encode() + content[at:]


# -- Parquet ----------------------------------------------------------------------------------------------------------


def _parquet(content: bytes, draw: Random) -> bytes:
    """A whole table as another version, or somebody else, may have written it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(content))
    metadata = dict(table.schema.metadata or {})
    index = draw.randrange(len(table.schema))
    name = table.schema.field(index).name
    change = draw.randrange(6)
    if change == 0:
        table = table.drop_columns([name])
    elif change == 1:
        table = table.set_column(index, name, pa.array([str(each) for each in table.column(name).to_pylist()]))
    elif change == 2:
        table = table.set_column(index, name, pa.nulls(len(table), table.schema.field(index).type))
    elif change == 3:
        table = table.slice(0, draw.randrange(len(table) + 1))
    elif change == 4:
        table = table.rename_columns([f"{each}_" if each == name else each for each in table.column_names])
    elif metadata:
        key = draw.choice(sorted(metadata))
        metadata[key] = draw.choice([_flip, _json_types, _cut])(metadata[key], draw)
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), sink)
    return sink.getvalue()


# -- ONNX -------------------------------------------------------------------------------------------------------------


def _onnx(content: bytes, draw: Random) -> bytes:
    """A model that parses, and has other shapes, types, names or attributes."""
    import onnx

    model = onnx.load_from_string(content)
    draw.choice([_operator, _operands, _tensor, _shapes, _opsets, _attributes, _names])(model, draw)
    return bytes(model.SerializeToString())


def _operator(model: Any, draw: Random) -> None:
    operators = ["Relu", "Reshape", "Loop", "If", "Identity", "Nothing", "Conv", "ConstantOfShape", "Range", ""]
    draw.choice(model.graph.node).op_type = draw.choice(operators)


def _operands(model: Any, draw: Random) -> None:
    node = draw.choice(model.graph.node)
    node.input[:] = [draw.choice(["", "x", *node.input]) for _ in range(draw.randrange(5))]


def _tensor(model: Any, draw: Random) -> None:
    tensor = draw.choice(model.graph.initializer)
    if draw.random() < 0.5:
        tensor.data_type = draw.randrange(24)
    else:
        tensor.dims[:] = [draw.choice([0, 1, -1, 3, 2**31, 2**62]) for _ in range(draw.randrange(5))]


def _shapes(model: Any, draw: Random) -> None:
    for value in [*model.graph.input, *model.graph.output]:
        for dim in value.type.tensor_type.shape.dim:
            if draw.random() < 0.4:
                dim.dim_value = draw.choice([0, -1, 1, 7, 2**40])
            elif draw.random() < 0.3:
                dim.dim_param = draw.choice(["N", "", "batch", "a b"])


def _opsets(model: Any, draw: Random) -> None:
    model.ir_version = draw.choice([model.ir_version, 0, 3, 99, 2**40])
    for opset in model.opset_import:
        opset.version = draw.choice([0, 1, 5, 13, 25, 99, -1])


def _attributes(model: Any, draw: Random) -> None:
    for attribute in draw.choice(model.graph.node).attribute:
        attribute.i, attribute.type = draw.choice([-1, 0, 2**40]), draw.randrange(14)
        attribute.ints[:] = [draw.choice([-1, 0, 2**40]) for _ in range(draw.randrange(4))]


def _names(model: Any, draw: Random) -> None:
    for value in [*model.graph.input, *model.graph.output]:
        value.name = draw.choice(["", value.name, "a/../b", "\n", "x" * 300])


_OF_KIND: dict[str, Sequence[Mutation]] = {
    ".json": (_json_types,),
    ".jsonl": (_json_line_types,),
    ".yaml": (_yaml_types, _yaml_types, _yaml_text),
    ".parquet": (_parquet,),
    ".onnx": (_onnx,),
}
