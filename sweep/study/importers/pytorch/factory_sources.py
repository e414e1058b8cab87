"""What there is in torchvision, timm or a person's module, read from its sources: to import them takes seconds and,
of a person's, runs it.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sweep.study.importers.importer import ModelInput

__all__ = ["cached_weights", "function_names", "module_file", "timm_names", "torchvision_names", "usual_inputs"]

_REGISTERED = re.compile(r"^@register_model(?:\(\))?\n(?:@.*\n(?:(?:    .*|\))\n)*)*def (\w+)\(", re.MULTILINE)
_KINDS = ("", "segmentation", "video")
"""Folders of torchvision whose networks take one picture, or one film, and give tensors."""


@cache
def torchvision_names() -> dict[str, Path]:
    """Name -> file of its factory. Those of detection, optical flow and quantisation are not among them."""
    folder = _package("torchvision")
    return (
        {}
        if folder is None
        else dict(_registered(path for kind in _KINDS for path in (folder / "models" / kind).glob("*.py")))
    )


@cache
def timm_names() -> dict[str, Path]:
    """Name -> file of its factory."""
    folder = _package("timm")
    return {} if folder is None else dict(_registered((folder / "models").glob("*.py")))


def _registered(files: Iterator[Path]) -> Iterator[tuple[str, Path]]:
    for path in sorted(files):
        yield from ((name, path) for name in _REGISTERED.findall(path.read_text(encoding="utf-8")))


def _package(name: str) -> Path | None:
    """Its folder, found without importing it."""
    spec = importlib.util.find_spec(name)
    locations = () if spec is None else spec.submodule_search_locations or ()
    return next((Path(location) for location in locations), None)


def usual_inputs(name: str, file: Path) -> list[ModelInput]:
    """Of a network of torchvision: its batch is open."""
    if file.parent.name == "video":
        return [ModelInput("x", ("batch", 3, 16, 112, 112), "float32")]
    side = 299 if name == "inception_v3" else 224
    return [ModelInput("x", ("batch", 3, side, side), "float32")]


def cached_weights(file: Path, name: str) -> Path | None:
    """The file of torchvision's default weights of a network, where torch has kept it; nothing is downloaded."""
    url = _default_url(file, name)
    if url is None:
        return None
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "torch"
    path = Path(home).expanduser() / "hub" / "checkpoints" / url.rpartition("/")[2]
    return path if path.is_file() else None


@cache
def _default_url(file: Path, name: str) -> str | None:
    """`weights: Optional[ResNet18_Weights]` of the factory leads to a class, and its DEFAULT to one of its entries."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    factory = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name), None)
    if factory is None:
        return None
    every = (*factory.args.args, *factory.args.kwonlyargs)
    written = next((ast.unparse(one.annotation) for one in every if one.arg == "weights" and one.annotation), "")
    words = set(re.findall(r"\w+", written))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name in words:
            entries = {ast.unparse(one.targets[0]): one.value for one in node.body if isinstance(one, ast.Assign)}
            default = entries.get("DEFAULT")
            chosen = entries.get(ast.unparse(default)) if default is not None else None
            if isinstance(chosen, ast.Call):
                urls = [one.value for one in chosen.keywords if one.arg == "url"]
                return next((str(url.value) for url in urls if isinstance(url, ast.Constant)), None)
    return None


def module_file(module: str, folder: Path) -> tuple[Path, bool] | None:
    """The file of a module and whether it lies in the folder; else on the path. None where there is none.

    A package on the path is not imported to look into it: its files are looked for.
    """
    parts = module.split(".")
    for place in (folder, *map(Path, sys.path)):
        for path in (place.joinpath(*parts).with_suffix(".py"), place.joinpath(*parts, "__init__.py")):
            if path.is_file():
                return path.absolute(), place == folder
    spec = importlib.util.find_spec(parts[0])  # what an installation maps in another way
    if spec is None:
        return None
    if len(parts) == 1:
        return None if spec.origin is None or not Path(spec.origin).is_file() else (Path(spec.origin), False)
    for location in spec.submodule_search_locations or ():
        path = Path(location).joinpath(*parts[1:])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file, False
    return None


def function_names(path: Path) -> list[str] | None:
    """What a module's file defines, imports or assigns; None where that cannot be told, as with `import *`."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return None
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names += [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        elif not isinstance(node, ast.Expr):
            return None  # a branch or a loop may define anything
    return None if "*" in names or "__getattr__" in names else names
