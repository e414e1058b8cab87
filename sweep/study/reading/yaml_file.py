"""Reading a YAML file that a person wrote, without surprises.

Plain words mean what YAML 1.2 says: `on` and `yes` are text, `010` is ten, a date is text. A key that is written twice
is refused, where YAML libraries keep the last one in silence. Sizes, depth and aliases are limited before anything is
built from them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from sweep.errors import StudyError

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "compose_yaml", "read_yaml"]

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_NODES = 100_000
"""Values after aliases are expanded."""

_NO_BREAK = "\u00a0"
"""As pages and word processors write it, where it looks like any space."""
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Loader(yaml.CSafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012  PyYAML's own attribute, typed there

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag not in (_STR, _MERGE):
                raise _Refused(f"a key that is not text (got {_excerpt(key)})", key)
            if key.value in seen:
                raise _Refused(f"the key {key.value!r} is written twice (first in line {seen[key.value]})", key)
            seen[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep=deep)

    def construct_int(self, node: yaml.ScalarNode) -> int:
        text = node.value.lower()
        try:
            return int(text, 16 if "0x" in text else 8 if "0o" in text else 10)
        except ValueError:  # Python refuses to read more than 4,300 digits
            raise _Refused(f"a number that is too long ({len(text)} digits)", node) from None

    def construct_float(self, node: yaml.ScalarNode) -> float:
        return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))


class _Refused(Exception):
    def __init__(self, problem: str, at: yaml.Node | yaml.Event) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = at.start_mark.line + 1 if at.start_mark else 1


_STR, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in "str int float bool null seq map merge".split())
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)
_Loader.add_implicit_resolver(_MERGE, re.compile(r"^<<$"), ["<"])
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_float)


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """The mapping that a file holds.

    `what` names the kind of file for messages. Raises StudyError, in one line, for anything else.
    """
    text = _read_text(path, what)
    try:
        loader = _Loader(text)
        try:
            _check_depth(text)
            node = loader.get_single_node()
            if node is None:
                raise StudyError("is empty", file=path, allowed=f"a {what}: a mapping with keys")
            if not isinstance(node, yaml.MappingNode):
                kind = "a list" if isinstance(node, yaml.SequenceNode) else "a single value"
                allowed, line = f"a {what}: a mapping with keys", node.start_mark.line + 1
                raise StudyError(f"holds {kind}", file=path, allowed=allowed, line=line)
            _count(node, {}, ())
            document: dict[str, Any] = loader.construct_document(node)
            return document
        finally:
            loader.dispose()
    except (ValueError, KeyError):
        raise StudyError("has a value that is not what its tag says", file=path, allowed="no tags") from None
    except _Refused as refused:
        raise StudyError(refused.problem, file=path, line=refused.line) from None
    except yaml.MarkedYAMLError as error:
        problem, line = _marked(error, text)
        raise StudyError(f"is not valid YAML: {problem}", file=path, line=line) from None
    except yaml.YAMLError as error:
        reason = getattr(error, "reason", None) or error
        raise StudyError(f"is not valid YAML: {reason}", file=path, line=_line_of_control(text)) from None


def _line_of_control(text: str) -> int | None:
    """The line of the first character that YAML does not take; its reader tells an offset in bytes of some encoding."""
    found = _CONTROL.search(text)
    return None if found is None else text.count("\n", 0, found.start()) + 1


def _marked(error: yaml.MarkedYAMLError, text: str) -> tuple[str, int | None]:
    """What is wrong, and in which line."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return str(error.problem), None
    lines = text.splitlines()
    for number in (mark.line, mark.line - 1):  # a key that goes on in it is missed in the line behind
        if 0 <= number < len(lines) and _NO_BREAK in lines[number].partition("#")[0]:
            return "a no-break space where a plain one is needed", number + 1
    written = lines[mark.line] if mark.line < len(lines) else ""
    is_tab = written[mark.column : mark.column + 1] == "\t"
    return f"{'a tab where spaces are needed' if is_tab else error.problem} (column {mark.column + 1})", mark.line + 1


def compose_yaml(text: str) -> yaml.MappingNode | None:
    """The nodes of a file's mapping, each of which knows its line; None where a file holds none."""
    loader = _Loader(text)
    try:
        _check_depth(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            return None
        _count(node, {}, ())
        return node
    except (yaml.YAMLError, _Refused, ValueError):
        return None
    finally:
        loader.dispose()


def _read_text(path: Path, what: str) -> str:
    if path.is_dir():
        raise StudyError("is a directory", file=path, allowed=f"a {what} (.yaml)")
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise StudyError("does not exist", file=path, allowed=f"a {what} (.yaml)") from None
    except (OSError, ValueError) as error:
        raise StudyError(f"cannot be read: {getattr(error, 'strerror', None) or error}", file=path) from None
    if len(data) > MAX_BYTES:
        raise StudyError("is too large", file=path, allowed=f"a {what} of up to {MAX_BYTES >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyError(f"is not UTF-8 text (byte {error.start})", file=path, allowed=f"a {what} in UTF-8") from None


def _check_depth(text: str) -> None:
    """Refuse deep nesting before the recursive composer sees it: the parser that makes events is not recursive."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > MAX_DEPTH:
                raise _Refused(f"is nested more than {MAX_DEPTH} deep", event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1


def _count(node: yaml.Node, known: dict[int, int], above: tuple[int, ...]) -> int:
    """How many values a node stands for once its aliases are expanded; each node is visited once."""
    if id(node) in above:
        raise _Refused("an alias that contains itself", node)
    if id(node) in known:
        return known[id(node)]
    if node.tag not in _TAGS:
        raise _Refused(f"a tag that is not known here (got {node.tag[:60]})", node)
    total, inside = 1, (*above, id(node))
    if isinstance(node, yaml.SequenceNode):
        total += sum(_count(item, known, inside) for item in node.value)
    elif isinstance(node, yaml.MappingNode):
        total += sum(_count(part, known, inside) for pair in node.value for part in pair)
    if total > MAX_NODES:
        raise _Refused(f"stands for more than {MAX_NODES:,} values once its aliases are expanded", node)
    known[id(node)] = total
    return total


def _excerpt(node: yaml.Node) -> str:
    return str(node.value)[:40] if isinstance(node, yaml.ScalarNode) else "a list or mapping"
