"""What a page needs to draw its pictures with no network: the plotting library, packed, and the pictures as JSON.

Plotly's bundle of cartesian charts where this installation has it (`tools/plotly_bundle.py` fetches it, and wheels have
it): of 1.5 MB, packed 0.7 of a page, as gzip in base64, which browsers unpack themselves. Plotly's Python package has
the whole library alone, of 4.8 MB, packed 2.0.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from sweep.report.figures.figure import Figure, labelled

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = [
    "BUNDLE",
    "BUNDLE_VERSION",
    "drawing_scripts",
    "is_the_bundle",
    "library",
    "packed_library",
    "page_script",
    "pictures_json",
]

BUNDLE, BUNDLE_VERSION = "plotly-cartesian.min.js", "4.1.1"
_SHA256 = "79542150855a52c567260e3137095dbe2b744e6d702a5cabe67da246942fba7a"

_LEVEL = 5
"""Of gzip: half the time of 9, for one hundredth more bytes; each run packs it anew."""


def is_the_bundle(content: bytes) -> bool:
    """Whether it is the bundle of this version, whole and unchanged."""
    return hashlib.sha256(content).hexdigest() == _SHA256


@cache
def library() -> str:
    """The text of the script that the page unpacks and runs."""
    bundle = resources.files("sweep.report") / "templates" / BUNDLE
    if bundle.is_file() and is_the_bundle(content := bundle.read_bytes()):
        return content.decode()

    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@cache
def packed_library() -> str:
    """The library as base64 of gzip; the same in each page of a version."""
    return base64.b64encode(gzip.compress(library().encode(), compresslevel=_LEVEL, mtime=0)).decode()


def page_script(name: str) -> Markup:
    """A script of ours, as it stands in the page."""
    from markupsafe import Markup

    return Markup((resources.files("sweep.report") / "templates" / name).read_text(encoding="utf-8"))


def drawing_scripts() -> list[str]:
    """All scripts that run for the pictures' sake: a page's content security policy names them."""
    return [page_script("figures.js"), library()]


def pictures_json(figures: Sequence[Figure]) -> str:
    """JSON that can stand inside a script element, whatever the names in it."""
    value = [labelled({"data": figure.data, "layout": figure.layout}) for figure in figures]
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
