"""What a file of PyTorch is, told from the names in its zip archive, and the inputs of an exported program, read from
its JSON. Nothing is unpickled, and torch is not imported.
"""

from __future__ import annotations

import json
import pickletools
import re
import zipfile
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from sweep.study.importers.importer import ModelInput

__all__ = ["ArchiveKind", "kind_of", "pt2_inputs"]

_MODEL = re.compile(r"[^/]+/models/model\.json")
_OLD_MODEL = "serialized_exported_program.json"
"""Of torch before 2.8."""
_LARGEST_BYTES = 1 << 28
"""Of the JSON: a network of 5,000 operators has 10 MB."""
_LARGEST_PICKLE_BYTES = 1 << 24
_DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    12: "bool",
    13: "bfloat16",
    28: "uint16",
    44: "uint32",
    45: "uint64",
}
"""Of `torch._export.serde.schema.ScalarType`."""
_OF_WEIGHTS = re.compile(r"collections OrderedDict|torch\._utils \w+|torch \w+|torch\.(storage|serialization) \w+")
"""Names in the pickle of a state dict, and no others."""


class ArchiveKind(Enum):
    """What a file is."""

    PROGRAM = "an exported program"
    TORCHSCRIPT = "TorchScript"
    COMPILED = "a package of compiled code (AOTInductor)"
    MODULE = "a pickled module"
    WEIGHTS = "a file of weights alone (a state dict)"
    OTHER = "something else"


def kind_of(path: Path) -> ArchiveKind:
    """Raises OSError where it cannot be read."""
    with path.open("rb") as stream:
        start = stream.read(4)
    if start[:2] == b"\x80\x02":  # torch.save before 1.6, or any pickle
        return ArchiveKind.MODULE
    try:
        with zipfile.ZipFile(path) as archive:
            return _kind(archive)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        return ArchiveKind.OTHER


def _kind(archive: zipfile.ZipFile) -> ArchiveKind:
    names = archive.namelist()
    inner = {name.partition("/")[2] for name in names}
    if _OLD_MODEL in names or any(_MODEL.fullmatch(name) for name in names):
        return ArchiveKind.PROGRAM
    if any(name.startswith(("data/aotinductor/", "aotinductor/")) for name in inner):
        return ArchiveKind.COMPILED
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        return ArchiveKind.TORCHSCRIPT
    pickled = next((name for name in names if name.partition("/")[2] == "data.pkl"), None)
    if pickled is None:
        return ArchiveKind.OTHER
    return ArchiveKind.WEIGHTS if _is_of_weights(_read(archive, pickled, _LARGEST_PICKLE_BYTES)) else ArchiveKind.MODULE


def _is_of_weights(pickled: bytes) -> bool:
    """By the classes that a pickle names."""
    texts: list[str] = []
    for code, argument, _ in pickletools.genops(pickled):
        name = str(argument) if code.name == "GLOBAL" else None
        if code.name == "STACK_GLOBAL":
            name = " ".join(texts[-2:])
        elif isinstance(argument, str):
            texts.append(argument)
        if name is not None and not _OF_WEIGHTS.fullmatch(name):
            return False
    return True


def pt2_inputs(path: Path) -> list[ModelInput]:
    """The inputs of an exported program, in order; none for those that are no tensors.

    Raises:
        ValueError: the file is no exported program, or a damaged one.
        OSError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name == _OLD_MODEL or _MODEL.fullmatch(name))
            module = json.loads(_read(archive, name, _LARGEST_BYTES))["graph_module"]
        return list(_inputs(module))
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        EOFError,
        StopIteration,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise ValueError(f"{path} is no exported program, or a damaged one") from error


def _read(archive: zipfile.ZipFile, name: str, most_bytes: int) -> bytes:
    about = archive.getinfo(name)
    if about.file_size > most_bytes or about.flag_bits & 1:
        raise ValueError(f"{name} is too large, or encrypted")
    return archive.read(name)


def _inputs(module: Mapping[str, Any]) -> Sequence[ModelInput]:
    tensors = module["graph"]["tensor_values"]
    found = []
    for spec in module["signature"]["input_specs"]:
        argument = spec["user_input"]["arg"].get("as_tensor") if "user_input" in spec else None
        if argument is None:
            continue
        name, about = str(argument["name"]), tensors[argument["name"]]
        sizes = tuple(_size(size) for size in about["sizes"])
        found.append(ModelInput(name, sizes, _DTYPES.get(about["dtype"]), is_fixed=True))
    return found


def _size(size: Mapping[str, Any]) -> int | str:
    if "as_int" in size:
        return int(size["as_int"])
    symbol = re.match(r"(?:Symbol\(')?(\w+)", str(size["as_expr"]["expr_str"]))
    return symbol.group(1) if symbol else "?"
