"""Which version of the package this is, where it lies, and how Python is started with it. A low module: `import sweep`
would reach up to the API.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

__all__ = [
    "IMPORT_LAST",
    "PACKAGE_DIR",
    "SOURCE_ROOT",
    "__version__",
    "bind_submodules",
    "child_environment",
    "import_path",
    "put_last",
    "python_command",
    "torch_left_out",
]

__version__ = "0.1.0"

PACKAGE_DIR = Path(__file__).parent
SOURCE_ROOT = PACKAGE_DIR.parent
"""What a child process needs on its PYTHONPATH to import this very package."""
IMPORT_LAST = "SWEEP_IMPORT_LAST"
"""The variable that tells a Ray worker which folder comes last on its import path: the driver's working folder."""


def python_command(module: str, interpreter: str = sys.executable) -> list[str]:
    """The command that runs a module of ours; `-m` alone would put the working folder first, and a person's own
    `numpy.py` there before numpy.
    """
    return [interpreter, "-P", "-m", module]


@contextmanager
def torch_left_out() -> Iterator[None]:
    """Meanwhile TVM can be imported without torch, which it imports wherever that is installed: 1.4 s of CPU and 200 MB
    in every process, for arguments that are tensors of torch. Afterwards whoever wants torch has it.
    """
    if not sys.modules.keys().isdisjoint(("torch", "tvm_ffi")):
        yield
        return
    refusal = _WithoutTorch()
    # Another list each time: a thread that is looking for a module would pass over a finder of one that changes
    sys.meta_path = [refusal, *sys.meta_path]
    try:
        yield
    finally:
        sys.meta_path = [finder for finder in sys.meta_path if finder is not refusal]


def bind_submodules(package: str) -> None:
    """Give a package what an import that failed half way took from it: a second one finds the submodules loaded, and
    does not make them attributes of the new package.
    """
    for name, module in list(sys.modules.items()):
        parent, _, child = name.rpartition(".")
        if name.startswith(f"{package}.") and parent in sys.modules and not hasattr(sys.modules[parent], child):
            setattr(sys.modules[parent], child, module)


class _WithoutTorch(MetaPathFinder):
    """Refuses torch to the thread that made it. A None among the modules would be seen by all: scikit-learn in another
    thread takes it for a torch without tensors.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if fullname == "torch" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError("torch is left out", name=fullname)
        return None


def child_environment(**further: str) -> dict[str, str]:
    """The environment of a Python process of ours: it imports what this one does, its own children too."""
    return {**os.environ, "PYTHONPATH": import_path(), "PYTHONSAFEPATH": "1", **further}


def import_path() -> str:
    """This process's import path, as PYTHONPATH has it: the working folder last, where it is on it."""
    here = str(Path.cwd())
    entries = [str(Path(entry).absolute()) for entry in sys.path]
    if str(SOURCE_ROOT) not in entries:
        entries.insert(0, str(SOURCE_ROOT))
    return os.pathsep.join(_with_last(entries, here))


def put_last() -> None:
    """Move the working folder to the end of this process's import path, where it is on it.

    `python -m sweep` has it first, and PYTHONPATH=. before all that is installed. Tuners in it are found all the same.
    """
    here = str(Path.cwd())
    entries = [str(Path(entry).absolute()) for entry in sys.path]
    if here in entries:
        sys.path[:] = _with_last(entries, here)


def _with_last(entries: list[str], folder: str) -> list[str]:
    """Each once, a folder last; that of this package itself stays where it is."""
    if folder == str(SOURCE_ROOT):
        return list(dict.fromkeys(entries))
    others = [entry for entry in entries if entry != folder]
    return list(dict.fromkeys([*others, *([folder] if len(others) < len(entries) else [])]))
