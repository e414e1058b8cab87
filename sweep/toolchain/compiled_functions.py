"""Compiles a network function by function, and takes those that were compiled before: for an earlier build, or as a
tuner's candidate.

Builds of one network differ in the few functions that tuning has made faster in between, and nearly all of a build is
LLVM's work on functions. A function is known by what it computes and how, not by its name, which the linker gives it:
the candidate that won is the function of the network. The objects lie in a folder of the compile server, which goes
with it: a sweep directory that somebody else has made brings none that would be linked here.
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

__all__ = ["MOST_BYTES", "OBJECTS", "CompiledNetwork", "compile_function", "compile_network", "make_room"]

OBJECTS = "SWEEP_COMPILED_FUNCTIONS"
"""The environment variable with the folder of objects, which the compile server sets for its children; without it
nothing is kept."""

_NAME_OF_FUNCTION = '"ir.GlobalVar"'
"""In a module's JSON: once for a function that calls no other."""
_SYMBOL = "__tvm_ffi_"
"""Before a function's name: how TVM's runtime finds it in a library."""
_SAID = ("global_symbol", "op_pattern", "layout_free_buffers", "tirx.is_scheduled")
"""Attributes of a function that its code does not depend on."""
_PREPACKS = "meta_schedule.layout_rewrite_preproc"
"""Marks blocks of a candidate that would bring weights into another order, which TVM has emptied."""
MOST_BYTES = 1 << 30
"""Of all objects that are kept: some hundred networks. Beyond it the half that has been unused for longest goes."""
_DIGEST_BYTES = hashlib.sha256().digest_size
_END_OF_TEXT = b"\n\0\n"
"""Between a function and its object: JSON has no such byte."""


@dataclass(frozen=True, slots=True)
class CompiledNetwork:
    """A network that is to be linked."""

    executable: Any
    """TVM's, with the functions that are no objects."""
    objects: tuple[Path, ...]
    """Files of the other functions, to be linked with it."""
    aliases: Mapping[str, str]
    """By which symbol each of these functions is called, and which its object has."""
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
    store.make_room()
    files = {one.symbol: scratch / f"{one.symbol}.o" for one in alone.values()}
    reused = sum(_compile(one, target, store, files[one.symbol]) for one in alone.values())
    rest = {name: body for name, body in module.functions_items() if name.name_hint not in alone}
    executable = relax.build(tvm.IRModule(rest, attrs=module.attrs), target, relax_pipeline=None)
    aliases = {_SYMBOL + name: _SYMBOL + one.symbol for name, one in alone.items()}
    return CompiledNetwork(executable, tuple(files.values()), aliases, _count(module), reused)


def compile_function(module: Any, target: Any, file: Path) -> None:
    """Compile a candidate, the one function of a module, into an object that calls it `main`. Raises what TVM does."""
    function = _Function.of(_without_prepacking(module["main"]))
    store = _Objects(os.environ.get(OBJECTS), target)
    if not _compile(function, target, store, file) and function.symbol.endswith("0"):  # one in sixteen looks
        store.make_room()


def _compile(function: _Function, target: Any, store: _Objects, file: Path) -> bool:
    """Write the object of a function into a file; whether it was compiled before."""
    if file.exists() or store.take(function, file):
        return True
    tvm = load_tvm(())
    body = function.body.with_attr("global_symbol", function.symbol)
    tvm.tirx.build(tvm.IRModule({function.symbol: body}), target=target).write_to_file(str(file))
    store.keep(function, file)
    return False


@dataclass(frozen=True, slots=True)
class _Function:
    """A function without what its code does not depend on."""

    body: Any
    text: str
    """As JSON."""
    symbol: str
    """Of its object: the same for functions of the same code."""

    @classmethod
    def of(cls, function: Any) -> _Function:
        """A function of a module."""
        import tvm_ffi

        tvm = load_tvm(())
        for name in _SAID:
            if name in (function.attrs or {}):
                function = function.without_attr(name)
        text = str(tvm.ir.save_json(tvm.IRModule({"main": function})))
        known_by = int(tvm_ffi.structural_hash(function, map_free_vars=True)) % (1 << 64)
        return cls(function, text, f"compiled_{known_by:016x}")

    def is_as(self, text: str) -> bool:
        """Whether it is the function that this JSON tells of, whatever its variables are called."""
        import tvm_ffi

        if text == self.text:
            return True
        other = load_tvm(()).ir.load_json(text)["main"]
        return bool(tvm_ffi.structural_equal(self.body, other, map_free_vars=True))


class _Objects:
    """Objects by what they were compiled from. An object whose digest is not its own is compiled anew."""

    def __init__(self, folder: str | None, target: Any) -> None:
        self._folder = None if folder is None else Path(folder)
        tvm = load_tvm(())
        llvm = importlib.import_module("tvm.target.codegen").llvm_version_major()
        self._made_by = json.dumps([target_json(target), str(tvm.__version__), llvm])

    def make_room(self) -> None:
        """Let those go that were of no use for longest, where there are many."""
        if self._folder is not None:
            make_room(self._folder, MOST_BYTES)

    def take(self, function: _Function, file: Path) -> bool:
        """Write the object of a function into a file; False where there is none that is whole."""
        if self._folder is None:
            return False
        path = self._path(function)
        try:
            content = path.read_bytes()
        except OSError:
            return False
        digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != digest:
            return False
        text, _, compiled = body.partition(_END_OF_TEXT)
        if not function.is_as(text.decode()):
            return False
        file.write_bytes(compiled)
        with suppress(OSError):
            os.utime(path)  # it was of use now
        return True

    def keep(self, function: _Function, file: Path) -> None:
        """Keep the object of a function. A disk that refuses costs the next build some time."""
        if self._folder is None:
            return
        body = function.text.encode() + _END_OF_TEXT + file.read_bytes()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_bytes(self._path(function), hashlib.sha256(body).digest() + body)
        except OSError:
            return

    def _path(self, function: _Function) -> Path:
        assert self._folder is not None
        return self._folder / hashlib.sha256(f"{self._made_by}\n{function.symbol}".encode()).hexdigest()


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
    named = {name: body for name, body in programs.items() if str(body.attrs.get("global_symbol", "")) == name}
    found = {name: _Function.of(body) for name, body in named.items()}
    return {name: one for name, one in found.items() if one.text.count(_NAME_OF_FUNCTION) == 1}


def _without_prepacking(function: Any) -> Any:
    """A candidate without the loops that TVM has emptied: a network's function has none."""
    from tvm import s_tir, tirx

    root = function.body.block
    parts = list(root.body) if isinstance(root.body, tirx.SeqStmt) else [root.body]
    kept = [part for part in parts if not _is_prepacking(part)]
    if not kept or len(kept) == len(parts):
        return function
    body = s_tir.SBlock(
        root.iter_vars,
        root.reads,
        root.writes,
        root.name_hint,
        kept[0] if len(kept) == 1 else tirx.SeqStmt(kept),
        root.init,
        root.alloc_buffers,
        root.match_buffers,
        root.annotations,
    )
    realize = function.body
    return function.with_body(s_tir.SBlockRealize(realize.iter_values, realize.predicate, body))


def _is_prepacking(statement: Any) -> bool:
    from tvm import s_tir, tirx

    while isinstance(statement, tirx.For):
        statement = statement.body
    return isinstance(statement, s_tir.SBlockRealize) and _PREPACKS in statement.block.annotations


def _count(module: Any) -> int:
    tvm = load_tvm(())
    return sum(isinstance(body, tvm.tirx.PrimFunc) for _, body in module.functions_items())
