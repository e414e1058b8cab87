"""From what pydantic says to the one line that a person reads: file, key, value, what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sweep.errors import StudyError
from sweep.registry import state_of_all
from sweep.study.reading.form import OWN, PATTERNS, Form
from sweep.suggestions import hint, listed

__all__ = ["fill_in", "schema_of"]

F = TypeVar("F", bound=Form)
Schema = Mapping[str, Any]


def fill_in(form: type[F], document: object, file: Path) -> F:
    """The form with a document's values. Raises StudyError about the first thing that is wrong."""
    try:
        return form.model_validate(document)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        raise _complaint(errors[0], len(errors) - 1, form, document, file) from None


def schema_of(form: type[Form]) -> Schema:
    """What a form allows, by its aliases, as JSON schema: with the names that registries and installed packages have
    now. Kept, for it takes pydantic longer than all else.
    """
    return _schema_of(form, state_of_all())


@lru_cache(maxsize=8)
def _schema_of(form: type[Form], state: tuple[object, ...]) -> Schema:
    return form.model_json_schema()


def _complaint(error: ErrorDetails, others: int, form: type[Form], document: object, file: Path) -> StudyError:
    loc = _without_tags(error, document)
    value = error["input"]
    if error["type"] == "refused":
        context = error["ctx"]
        problem, allowed, value = context["problem"], context["allowed"], context["value"]
        loc = [*loc, context["key"]] if context["key"] else loc
    else:
        schema = schema_of(form)
        allowed = describe(_at(schema, schema, list(error["loc"])), schema)
        problem = _problem(error, _at(schema, schema, list(error["loc"])), schema)
        if error["type"] == "missing":
            value = None
    more = f" (and {others} more)" if others else ""
    return StudyError(problem + more, file=file, key=_key(loc), value=value, allowed=allowed or None)


def _problem(error: ErrorDetails, schema: Schema, root: Schema) -> str:
    kind = error["type"]
    if kind == "missing":
        return "is missing"
    if kind in ("literal_error", "union_tag_invalid", "union_tag_not_found", "enum"):
        value = error["input"]
        named = value.get("name") if isinstance(value, dict) else value
        if isinstance(value, dict) and named is None:
            return "has no name"
        if not isinstance(named, str):
            return "has the wrong type"
        choices = [str(choice) for choice in _choices(schema, root)]
        return f"{named[:60]!r} is not known here{hint(named, choices)}"
    if kind in ("too_short", "string_too_short"):
        return "is empty"
    if kind in ("too_long", "string_too_long"):
        return "is too long"
    if kind.startswith(("greater_than", "less_than")):
        return "is out of range"
    if kind == "finite_number":
        return "is not a finite number"
    if kind == "string_pattern_mismatch":
        return "is not a name of the form that is needed"
    if error["input"] is None:
        return "has no value"
    return "has the wrong type"


def _without_tags(error: ErrorDetails, document: object) -> list[int | str]:
    """The path in the document: pydantic puts the names of union branches into its own."""
    path: list[int | str] = []
    here: Any = document
    for step in error["loc"]:
        is_inside = step in here if isinstance(here, dict) else isinstance(here, list) and isinstance(step, int)
        if is_inside:
            path.append(step)
            here = here[step]
    if error["type"] == "missing":
        path.append(error["loc"][-1])
    return path


def _key(path: list[int | str]) -> str | None:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text or None


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def _branches(schema: Schema) -> list[Schema]:
    return [branch for union in ("anyOf", "oneOf") for branch in schema.get(union, [])]


def _at(schema: Schema, root: Schema, loc: list[int | str]) -> Schema:
    """The part of the JSON schema that speaks of this place; steps that are names of union branches are skipped."""
    schema = _resolved(schema, root)
    if not loc:
        return schema
    step, rest = loc[0], loc[1:]
    if step in schema.get("properties", {}):
        return _at(schema["properties"][step], root, rest)
    if isinstance(step, int) and "items" in schema:
        return _at(schema["items"], root, rest)
    if isinstance(step, str) and (values := _values(schema)):
        return _at(values[0], root, rest)
    branches = [_resolved(branch, root) for branch in _branches(schema)]
    for branch in branches:
        tag = branch.get("properties", {}).get("name", {}).get("const")
        if rest and tag == step:
            return _at(branch, root, rest)
    for branch in branches:
        for tail in ([step, *rest], rest):
            if tail and _knows(branch, root, tail[0]):
                return _at(branch, root, tail)
    return _at(schema, root, rest)


def _values(schema: Schema) -> list[Schema]:
    """What a mapping of names to values says of a value; its names may have to be of a form."""
    return [
        each for each in (schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()) if each
    ]


def _knows(schema: Schema, root: Schema, step: int | str) -> bool:
    schema = _resolved(schema, root)
    if any(_knows(branch, root, step) for branch in _branches(schema)):
        return True
    return step in schema.get("properties", {}) or (isinstance(step, int) and "items" in schema)


def _choices(schema: Schema, root: Schema) -> list[Any]:
    schema = _resolved(schema, root)
    own = [*schema.get("enum", []), *([schema["const"]] if "const" in schema else [])]
    return own + [choice for branch in _branches(schema) for choice in _choices(branch, root)]


def describe(schema: Schema, root: Schema) -> str:
    """What a part of a JSON schema allows, in words."""
    schema = _resolved(schema, root)
    if choices := schema.get("enum"):
        return listed(choices)
    if "const" in schema:
        return str(schema["const"])
    if branches := _branches(schema):
        words = dict.fromkeys(describe(branch, root) for branch in branches if branch.get("type") != "null")
        return " or ".join(words)
    return {
        "string": _describe_text,
        "integer": lambda part: _range("a whole number", part),
        "number": lambda part: _range("a number", part),
        "boolean": lambda part: "true or false",
        "null": lambda part: "null",
        "array": lambda part: f"a list with {describe(part.get('items', {}), root)}",
        "object": _describe_mapping,
    }.get(str(schema.get("type")), lambda part: "")(schema)


def _describe_text(schema: Schema) -> str:
    form = OWN if schema.get("title") == OWN else PATTERNS.get(schema.get("pattern", ""), "text")
    most = f", up to {schema['maxLength']} characters" if "maxLength" in schema else ""
    example = f", such as {schema['examples'][0]}" if schema.get("examples") else ""
    return f"{form}{most}{example}"


def _describe_mapping(schema: Schema) -> str:
    if schema.get("required") == ["name"] and "label" in schema["properties"]:
        return "a mapping with name and options"
    if "properties" in schema:
        return f"a mapping with {', '.join(schema['properties'])}"
    return "a mapping"


def _range(what: str, schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{what} from {low} to {high}"
    ends = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to", "exclusiveMaximum": "below"}
    told = [f"{word} {schema[end]}" for end, word in ends.items() if end in schema]
    return " ".join([what, " and ".join(told)]) if told else what
