"""Finds the line of a YAML file that an error is about, from the path of keys that the error names.

The line is looked for once there is an error, and the file is read again for it: values carry no marks, so that what
checks them knows nothing of files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import yaml

from sweep.errors import StudyError
from sweep.study.reading.yaml_file import MAX_BYTES, compose_yaml

__all__ = ["line_of", "tells_lines", "with_line"]

P = ParamSpec("P")
R = TypeVar("R")

_MERGE = "tag:yaml.org,2002:merge"
_INDEX = re.compile(r"\[(\d+)\]")
_PATH = re.compile(r"[A-Za-z_][\w-]*([.\[].*)?", re.DOTALL)
"""What a key may be that leads into a file; options of commands (`--only`) and `line 7` of a log do not."""


def tells_lines(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose StudyErrors about files also say in which line."""

    @wraps(function)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except StudyError as error:
            raise with_line(error) from error.__cause__

    return told


def with_line(error: StudyError) -> StudyError:
    """The same error with the line of its file that its key leads to, where there is such a line."""
    if error.line is None and error.file is not None and error.key is not None and _PATH.fullmatch(error.key):
        try:
            path = Path(error.file)
            text = path.read_text(encoding="utf-8-sig") if path.stat().st_size <= MAX_BYTES else ""
        except (OSError, ValueError):
            return error
        line = line_of(text, error.key)
        if line is not None:
            told = StudyError(
                error.problem, file=error.file, key=error.key, value=error.value, allowed=error.allowed, line=line
            )
            return told.with_traceback(error.__traceback__)
    return error


def line_of(text: str, key: str) -> int | None:
    """The line, from 1, of what a path such as `targets[1].mcpu` leads to in a YAML text: of a key, or of an item.

    Of a path that goes on where the text ends, the line of the last part that is there: a missing key belongs to its
    mapping. None where the text is no mapping.
    """
    node: yaml.Node | None = compose_yaml(text)
    if node is None:
        return None
    line, rest = node.start_mark.line, key
    while rest:
        step = _into_list(node, rest) if rest.startswith("[") else _into_mapping(node, rest.removeprefix("."))
        if step is None:
            break
        line, node, rest = step
    return int(line) + 1


_Step = tuple[int, yaml.Node, str]
"""The line of what was found, its node, and the rest of the path."""


def _into_list(node: yaml.Node, path: str) -> _Step | None:
    index = _INDEX.match(path)
    if index is None or not isinstance(node, yaml.SequenceNode) or int(index[1]) >= len(node.value):
        return None
    item = node.value[int(index[1])]
    return item.start_mark.line, item, path[index.end() :]


def _into_mapping(node: yaml.Node, path: str) -> _Step | None:
    """By the longest key that the path begins with: keys may hold dots and brackets themselves."""
    fitting = [(key, value) for key, value in _entries(node) if _begins(path, key.value)]
    if not fitting:
        return None
    key, value = max(fitting, key=lambda entry: len(entry[0].value))
    return key.start_mark.line, value, path[len(key.value) :]


def _entries(node: yaml.Node) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    """The keys and values of a mapping; behind them those that it merges in, which it may replace."""
    if not isinstance(node, yaml.MappingNode):
        return []
    own = [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
    merged = [value for key, value in own if key.tag == _MERGE]
    others = [part for value in merged for part in (value.value if isinstance(value, yaml.SequenceNode) else [value])]
    return own + [entry for other in others if other is not node for entry in _entries(other)]


def _begins(path: str, key: str) -> bool:
    return path == key or path.startswith((f"{key}.", f"{key}["))
