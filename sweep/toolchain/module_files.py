"""A TVM module in a folder: `module.json`, and beside it the large constants in files that other folders share.

TVM's JSON holds constants as base64 text: a third larger than they are, and 2.5 of the 6 seconds that the import of a
network of 100 MB took. In what is written here they are parameters of `main`, the last ones, and `constants.json` says
where the value of each lies. A folder without one has a module that is whole, as older versions wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.errors import ToolchainError
from sweep.files.confined import OutsideFolder, relative
from sweep.toolchain.tvm_loader import load_tvm
from sweep.toolchain.weights_file import SMALLEST_BYTES, WeightsFile, digest_of, link_or_copy, read_array

__all__ = ["MODULE", "constants_of", "module_text", "read_module", "write_module"]

MODULE, _CONSTANTS = "module.json", "constants.json"

_Key = tuple[str, tuple[int, ...], str]
"""Hash of the content, shape, dtype."""


@dataclass(frozen=True, slots=True)
class _Constant:
    """Where the value of a parameter lies."""

    file: str
    offset_bytes: int
    shape: Sequence[int]
    dtype: str
    sha256: str
    """Of the value, by which a module that is made from this one finds it."""


def write_module(module: Any, folder: Path, weights: WeightsFile | None = None, made_from: Path | None = None) -> None:
    """Write a module.

    weights: may have its constants already. made_from: the folder of the module that it was made from, whose constants
    it may still have.
    """
    from sweep.toolchain.passes.constant_parameters import lift_constants

    new, content = WeightsFile(), {}

    def key_of(value: npt.NDArray[Any]) -> _Key | None:
        if value.nbytes < SMALLEST_BYTES or value.dtype.kind not in "fiub" or not value.dtype.isbuiltin:
            return None
        data = value.tobytes()
        digest = digest_of(data)
        content[digest] = data
        return digest, value.shape, str(value.dtype)

    lifted, keys = lift_constants(module, key_of)
    places = {constant.sha256: (constant.file, constant.offset_bytes) for constant in _constants(made_from)}
    if weights is not None and weights.spans:
        name = weights.write(folder)
        places |= {digest: (name, span.offset_bytes) for digest, span in weights.spans.items()}
    fresh = [digest for digest, _, _ in keys if digest not in places]
    for digest in fresh:
        new.put(content[digest])
    if fresh:
        name = new.write(folder)
        places |= {digest: (name, new.spans[digest].offset_bytes) for digest in fresh}
    constants = [_Constant(*places[digest], shape, dtype, digest) for digest, shape, dtype in keys]
    for file in {constant.file for constant in constants}:
        if made_from is not None and not (folder / file).exists():
            link_or_copy(made_from / file, folder / file)
    (folder / MODULE).write_text(str(load_tvm(()).ir.save_json(lifted)), encoding="utf-8")
    if constants:
        text = json.dumps([asdict(constant) for constant in constants], indent=1)
        (folder / _CONSTANTS).write_text(text, encoding="utf-8")


def read_module(folder: Path) -> Any:
    """The module of a folder, its constants in their places. Raises ToolchainError for constants that lie elsewhere."""
    module = load_tvm(()).ir.load_json((folder / MODULE).read_text(encoding="utf-8"))
    constants = _constants(folder)
    if not constants:
        return module
    from sweep.toolchain.passes.constant_parameters import bind_last_parameters

    values = [
        read_array(folder / constant.file, constant.offset_bytes, tuple(constant.shape), constant.dtype)
        for constant in constants
    ]
    return bind_last_parameters(module, [np.asarray(value) for value in values])


def constants_of(folder: Path) -> Iterator[npt.NDArray[Any]]:
    """The large constants of a module, mapped and not read. Raises ToolchainError for those that lie elsewhere."""
    for constant in _constants(folder):
        yield read_array(folder / constant.file, constant.offset_bytes, tuple(constant.shape), constant.dtype)


def module_text(folder: Path) -> str:
    """The module as TVM prints it; its large constants are parameters, as in the file."""
    return str(load_tvm(()).ir.load_json((folder / MODULE).read_text(encoding="utf-8")).script())


def _constants(folder: Path | None) -> list[_Constant]:
    path = None if folder is None else folder / _CONSTANTS
    if path is None or not path.exists():
        return []
    constants = [_Constant(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    for constant in constants:
        try:
            is_beside = len(relative(constant.file).parts) == 1
        except OutsideFolder:
            is_beside = False
        if not is_beside:  # it is read here, and linked under the same name into the folder of what is made from it
            raise ToolchainError(f"{path}: the file {constant.file!r} of a constant is not beside it")
    return constants
