"""Compiles a network function by function, and takes those that have not changed from what was compiled before.

Builds of one network differ in the few functions that tuning has made faster in between, and nearly all of a build is
LLVM's work on functions. The objects lie in a folder of the compile server, which goes with it: a sweep directory that
somebody else has made brings none that would be linked here.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.files.atomic import write_bytes
from sweep.toolchain.tvm_loader import load_tvm, target_json

__all__ = ["MOST_BYTES", "OBJECTS", "CompiledNetwork", "compile_network", "make_room"]

OBJECTS = "SWEEP_COMPILED_FUNCTIONS"
"""The environment variable with the folder of objects, which the compile server sets for its children; without it
nothing is kept."""

_NAME_OF_FUNCTION = '"ir.GlobalVar"'
"""In a module's JSON: once for a function that calls no other."""
MOST_BYTES = 1 << 30
"""Of all objects that are kept: some hundred networks. Beyond it the half that has been unused for longest goes."""
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class CompiledNetwork:
    """A network that is to be linked."""

    executable: Any
    """TVM's, with the functions that are no objects."""
    objects: tuple[Path, ...]
    """Files of the other functions, to be linked with it."""
    functions: int
    reused: int
    """Of the functions, those that were compiled before."""


def compile_network(module: Any, target: Any, scratch: Path) -> CompiledNetwork:
    """Compile a module for a target. `scratch`: a folder for the objects, until they are linked. Raises what TVM does.

    The smallest function is compiled with the executable, since TVM links no library without one.
    """
    tvm = load_tvm(())
    relax = tvm.relax
    with target:
        module = relax.get_pipeline("default")(module)
    alone = _functions_alone(module)
    if alone:
        del alone[min(alone, key=lambda name: len(alone[name].text))]
    store = _Objects(os.environ.get(OBJECTS), target)
    files, reused = [], 0
    for number, (name, function) in enumerate(alone.items()):
        file = scratch / f"function-{number}.o"
        if store.take(function.text, file):
            reused += 1
        else:
            library = tvm.tirx.build(tvm.IRModule({name: function.body}, attrs=module.attrs), target=target)
            library.write_to_file(str(file))
            store.keep(function.text, file)
        files.append(file)
    rest = {name: body for name, body in module.functions_items() if name.name_hint not in alone}
    executable = relax.build(tvm.IRModule(rest, attrs=module.attrs), target, relax_pipeline=None)
    return CompiledNetwork(executable, tuple(files), _count(module), reused)


@dataclass(frozen=True, slots=True)
class _Function:
    body: Any
    text: str
    """As JSON, by which it is known."""


class _Objects:
    """Objects by what they were compiled from. An object whose digest is not its own is compiled anew."""

    def __init__(self, folder: str | None, target: Any) -> None:
        self._folder = None if folder is None else Path(folder)
        tvm = load_tvm(())
        llvm = importlib.import_module("tvm.target.codegen").llvm_version_major()
        self._made_by = json.dumps([target_json(target), str(tvm.__version__), llvm])
        if self._folder is not None:
            make_room(self._folder, MOST_BYTES)

    def take(self, text: str, file: Path) -> bool:
        """Write the object of a function into a file; False where there is none that is whole."""
        if self._folder is None:
            return False
        try:
            content = self._path(text).read_bytes()
        except OSError:
            return False
        digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != digest:
            return False
        file.write_bytes(body)
        with suppress(OSError):
            os.utime(self._path(text))  # it was of use now
        return True

    def keep(self, text: str, file: Path) -> None:
        """Keep the object of a function. A disk that refuses costs the next build some time."""
        if self._folder is None:
            return
        body = file.read_bytes()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_bytes(self._path(text), hashlib.sha256(body).digest() + body)
        except OSError:
            return

    def _path(self, text: str) -> Path:
        assert self._folder is not None
        return self._folder / hashlib.sha256(f"{self._made_by}\n{text}".encode()).hexdigest()


def make_room(folder: Path, most_bytes: int) -> None:
    """Where objects take more, remove those that have been of no use for longest, to half of it.

    Other builds look here at the same time: what one of them misses, it compiles.
    """
    with suppress(OSError):
        objects = sorted(
            (stat.st_mtime_ns, stat.st_size, entry.path) for entry in os.scandir(folder) for stat in [entry.stat()]
        )
        left = sum(size for _, size, _ in objects)
        if left <= most_bytes:
            return
        for _, size, path in objects:
            if left <= most_bytes / 2:
                return
            Path(path).unlink(missing_ok=True)
            left -= size


def _functions_alone(module: Any) -> dict[str, _Function]:
    """Tensor programs by name, but for those that a symbol of their own does not name or that call others."""
    tvm = load_tvm(())
    programs: Mapping[str, Any] = {
        name.name_hint: body for name, body in module.functions_items() if isinstance(body, tvm.tirx.PrimFunc)
    }
    found = {}
    for name, body in programs.items():
        text = str(tvm.ir.save_json(tvm.IRModule({name: body}, attrs=module.attrs)))
        if str(body.attrs.get("global_symbol", "")) == name and text.count(_NAME_OF_FUNCTION) == 1:
            found[name] = _Function(body, text)
    return found


def _count(module: Any) -> int:
    tvm = load_tvm(())
    return sum(isinstance(body, tvm.tirx.PrimFunc) for _, body in module.functions_items())
