"""Fetches Plotly's bundle of cartesian charts, with which a page takes 0.8 MB in place of 2.1.

    python tools/plotly_bundle.py

It is published with npm alone, so this needs npm and its registry. Where one of them is missing a line says so, and
pages have the whole library of Plotly's Python package. Wheels that are built here contain what has been fetched.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from sweep.report.figures.drawing import BUNDLE, BUNDLE_VERSION, is_the_bundle

PACKAGE = "plotly.js-cartesian-dist-min"
TARGET = Path(__file__).parents[1] / "sweep" / "report" / "templates" / BUNDLE
LIMIT_S = 120


def fetch(target: Path = TARGET) -> str | None:
    """Write the bundle, unless it is there; gives why it could not be had."""
    if target.is_file() and is_the_bundle(target.read_bytes()):
        return None
    if (npm := shutil.which("npm")) is None:
        return "npm is not there"
    with tempfile.TemporaryDirectory() as scratch:
        patience = ["--fetch-retries=1", "--fetch-timeout=20000"]
        command = [npm, "pack", "--silent", *patience, f"{PACKAGE}@{BUNDLE_VERSION}"]
        try:
            subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=True, timeout=LIMIT_S)
        except (subprocess.SubprocessError, OSError) as error:
            return f"npm could not fetch it ({type(error).__name__})"
        content = _packed(Path(scratch))
    if not is_the_bundle(content):
        return "what npm fetched is not what the program has the SHA-256 of"
    half_made = target.with_suffix(".half")
    half_made.write_bytes(content)
    half_made.replace(target)
    return None


def _packed(folder: Path) -> bytes:
    """The bundle in the archive of a folder; nothing where there is no such archive."""
    try:
        with tarfile.open(next(folder.glob("*.tgz"))) as packed:
            member = packed.extractfile(f"package/{BUNDLE}")
            return b"" if member is None else member.read()
    except (StopIteration, KeyError, OSError, tarfile.TarError):
        return b""


if __name__ == "__main__":
    if (reason := fetch()) is not None:
        sys.stdout.write(f"pages take 2.1 MB, not 0.8, without {PACKAGE}: {reason}\n")
