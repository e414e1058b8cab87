"""Makes the wheel `tvm-sweep-read` of the wheel `tvm-sweep`: the same modules, and no TVM, Ray or MLflow asked for.

    python tools/read_wheel.py dist/tvm_sweep-0.1.0-py3-none-any.whl

An extra can only ask for more than the package itself does, so what asks for less is a distribution of its own. It
opens sweeps: status, where, report, compare, and the same in Python. The two hold the same files: install one of them.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import sys
import zipfile
from pathlib import Path

NAME = "tvm-sweep-read"
KEPT = frozenset("numpy scipy pandas pyarrow pydantic pyyaml typer rich plotly jinja2 filelock packaging".split())
"""What reading takes, of the requirements in pyproject.toml."""


def read_wheel(wheel: Path, out: Path | None = None) -> Path:
    """Write it, beside the other or into `out`, and give its path."""
    made = (out or wheel.parent) / wheel.name.replace("tvm_sweep-", "tvm_sweep_read-", 1)
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as light:
        records = []
        for entry in whole.infolist():
            name, content = _renamed(entry.filename), whole.read(entry)
            if name.endswith(".dist-info/RECORD"):
                record = name
                continue
            if name.endswith(".dist-info/METADATA"):
                content = _metadata(content.decode()).encode()
            light.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            records.append(f"{name},sha256={digest},{len(content)}")
        light.writestr(record, "\n".join([*records, f"{record},,", ""]))
    return made


def _renamed(name: str) -> str:
    return re.sub(r"^tvm_sweep-([^/]*\.dist-info)/", r"tvm_sweep_read-\1/", name)


def _metadata(text: str) -> str:
    head, blank, body = text.partition("\n\n")
    lines = [f"Name: {NAME}" if line.startswith("Name: ") else line for line in head.splitlines() if _is_kept(line)]
    return "\n".join(lines) + blank + body


def _is_kept(line: str) -> bool:
    if line.startswith("Provides-Extra: "):
        return False
    required = re.match(r"Requires-Dist: ([A-Za-z0-9._-]+)", line)
    return required is None or (required[1].lower() in KEPT and "extra ==" not in line)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wheel", type=Path, help="that of tvm-sweep")
    parser.add_argument("--out", type=Path, help="folder; default: beside it")
    options = parser.parse_args()
    sys.stdout.write(f"{read_wheel(options.wheel, options.out)}\n")


if __name__ == "__main__":
    main()
