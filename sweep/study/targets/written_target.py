"""Targets as people write them (a tag, the classic string, a mapping, `native`) brought to one canonical dict.

TVM takes a misspelt CPU or feature without a word, and refuses the classic string; here the first is an error and the
second is converted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sweep.errors import StudyError
from sweep.study.reading.validation_errors import describe, schema_of
from sweep.study.spec import NATIVE, Target
from sweep.study.targets import host, known_targets
from sweep.study.targets.target_form import TargetForm
from sweep.suggestions import hint, listed

__all__ = ["KINDS", "architectures_of", "read_target"]

KINDS = ("llvm", NATIVE)
"""Kinds that can be built here, all the way to a library that runs on a device."""

_FORMS = "native, a tag such as arm/rasp4b64, a string such as 'llvm -mcpu=core-avx2', or a mapping with kind"
_INTEGERS = ("num-cores", "vector-width")
_CODE = ("mtriple", "mcpu", "mattr", "mabi", "mfloat-abi")
"""What decides which instructions are generated."""


def read_target(written: str | TargetForm, file: Path, key: str) -> Target:
    """The target that a person means. Raises StudyError for what cannot be built, and for what TVM would pass over."""
    try:
        name, attrs = _from_text(written) if isinstance(written, str) else _from_mapping(written)
        attrs = _checked(attrs)
    except _Impossible as problem:
        where = f"{key}.{problem.option}" if problem.option and not isinstance(written, str) else key
        value = written if isinstance(written, str) else problem.value
        raise StudyError(problem.problem, file=file, key=where, value=value, allowed=problem.allowed) from None
    return Target(name or _name_of(attrs), attrs)


def architectures_of(attrs: Mapping[str, Any]) -> tuple[str, ...]:
    """The architectures that a canonical dict can mean: one, but for a CPU name that several have and no triple."""
    if attrs["kind"] == NATIVE or NATIVE in attrs:
        return (host.architecture(),)
    if "mtriple" in attrs:
        arch = known_targets.architecture_of(attrs["mtriple"])
        return () if arch is None else (arch,)
    if "mcpu" not in attrs:
        return (host.architecture(),)
    having = tuple(arch for arch in known_targets.architectures() if attrs["mcpu"] in known_targets.cpus(arch))
    return (host.architecture(),) if host.architecture() in having else having


class _Impossible(Exception):
    def __init__(self, problem: str, allowed: str, *, option: str = "", value: object = None) -> None:
        super().__init__(problem)
        self.problem, self.allowed, self.option, self.value = problem, allowed, option, value


def _from_text(text: str) -> tuple[str | None, dict[str, Any]]:
    words = text.split()
    if not words:
        raise _Impossible("is empty", _FORMS)
    if len(words) == 1:
        if words[0] in KINDS:
            return words[0], {"kind": words[0]}
        if words[0] in known_targets.tags():
            return words[0], dict(known_targets.tags()[words[0]])
        if "/" in words[0] or not _is_kind(words[0]):
            near = hint(words[0], [*known_targets.tags(), *KINDS])
            raise _Impossible(f"is neither a target kind nor a tag that TVM knows{near}", _FORMS)
    attrs: dict[str, Any] = {"kind": _known_kind(words[0])}
    for word in words[1:]:
        match = re.fullmatch(r"--?([A-Za-z][A-Za-z-]*)=(\S+)", word)
        if match is None:
            raise _Impossible(f"has a part that is no option: {word!r}", "options of the form -mcpu=core-avx2")
        option, value = match.groups()
        options = [name for name in TargetForm.allowed_keys() if name not in ("name", "tag", "kind")]
        if option not in options:
            raise _Impossible(f"has an unknown option -{option}{hint(option, options)}", "-" + ", -".join(options))
        if option in attrs:
            raise _Impossible(f"has -{option} twice", "each option once")
        attrs[option] = _option_value(option, value)
    try:
        TargetForm.model_validate(attrs)
    except ValidationError as error:
        bad = error.errors()[0]
        schema = schema_of(TargetForm)
        allowed = describe(schema["properties"][bad["loc"][0]], schema)
        raise _Impossible(f"has a bad value for -{bad['loc'][0]}", allowed) from None
    return None, attrs


def _option_value(option: str, value: str) -> Any:
    if option in _INTEGERS:
        if not re.fullmatch(r"[0-9]{1,9}", value):
            raise _Impossible(f"has a value for -{option} that is no number: {value!r}", "a whole number from 1")
        return int(value)
    return value.split(",") if option in ("mattr", "keys") else value


def _from_mapping(form: TargetForm) -> tuple[str | None, dict[str, Any]]:
    written = form.model_dump(by_alias=True, exclude_none=True)
    name, tag = written.pop("name", None), written.pop("tag", None)
    if tag is not None:
        if tag not in known_targets.tags():
            near = hint(tag, known_targets.tags())
            raise _Impossible(f"is not a tag that TVM knows{near}", "such as arm/rasp4b64", option="tag", value=tag)
        base = dict(known_targets.tags()[tag])
        if written.get("kind", base["kind"]) != base["kind"]:
            raise _Impossible(
                f"is not the kind of the tag, {base['kind']}", base["kind"], option="kind", value=written["kind"]
            )
        return name or (tag if not written else None), base | written
    if "kind" not in written:
        raise _Impossible("has neither a kind nor a tag", _FORMS)
    return name or (NATIVE if written == {"kind": NATIVE} else None), written


def _is_kind(word: str) -> bool:
    return word in KINDS or any(tag["kind"] == word for tag in known_targets.tags().values()) or word in _OTHER_KINDS


_OTHER_KINDS = ("c", "cuda", "nvptx", "rocm", "webgpu", "composite", "ext_dev", "test", "cuda_host")


def _known_kind(kind: str) -> str:
    if kind not in KINDS:
        why = "cannot be built here, only CPUs can" if _is_kind(kind) else f"is not known{hint(kind, KINDS)}"
        raise _Impossible(f"kind {kind!r} {why}", listed(KINDS), option="kind", value=kind)
    return kind


def _checked(attrs: dict[str, Any]) -> dict[str, Any]:
    if _known_kind(attrs["kind"]) == NATIVE:
        if extra := sorted(set(attrs) - {"kind"}):
            raise _Impossible("native takes no options: it is the device's own CPU", "kind alone", option=extra[0])
        return {"kind": NATIVE}
    attrs = {key: value.strip() if isinstance(value, str) else value for key, value in attrs.items()}
    if "mattr" in attrs:
        attrs["mattr"] = _split(attrs["mattr"])
    if "mtriple" in attrs and known_targets.architecture_of(attrs["mtriple"]) is None:
        allowed = "a triple of " + listed(known_targets.architectures()) + ", such as aarch64-linux-gnu"
        raise _Impossible("names no architecture known here", allowed, option="mtriple", value=attrs["mtriple"])
    _check_cpu(attrs)
    _check_features(attrs)
    _check_host(attrs, attrs.pop("host", None))
    if not attrs.get("mattr", True):
        del attrs["mattr"]
    return dict(sorted(attrs.items()))


def _split(mattr: str | list[str]) -> list[str]:
    parts = mattr.split(",") if isinstance(mattr, str) else mattr
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _check_cpu(attrs: Mapping[str, Any]) -> None:
    if "mcpu" not in attrs:
        return
    arches = architectures_of(attrs)
    if not arches or not any(attrs["mcpu"] in known_targets.cpus(arch) for arch in arches):
        where = arches or known_targets.architectures()
        choices = sorted({cpu for arch in where for cpu in known_targets.cpus(arch)})
        near = hint(attrs["mcpu"], choices)
        problem = f"mcpu {attrs['mcpu']!r} is not a CPU that LLVM knows for {listed(where)}{near}"
        likest = get_close_matches(attrs["mcpu"][:100], choices, n=6, cutoff=0.3) or choices[:6]
        allowed = f"{listed(likest)} and {len(choices) - len(likest)} more"
        raise _Impossible(problem, allowed, option="mcpu", value=attrs["mcpu"])


def _check_features(attrs: Mapping[str, Any]) -> None:
    known = frozenset().union(
        *(known_targets.feature_names(arch) for arch in architectures_of(attrs) if _is_listed(arch))
    )
    seen: dict[str, str] = {}
    for attribute in attrs.get("mattr", ()):
        sign, name = attribute[:1], attribute[1:]
        if sign not in ("+", "-") or not name:
            near = f", did you mean '+{attribute}'?" if attribute in known else ""
            raise _Impossible(
                f"mattr {attribute!r} has no sign{near}",
                "features such as +avx2 or -fma",
                option="mattr",
                value=attribute,
            )
        if name not in known:
            near = hint(attribute, (sign + other for other in known))
            where = listed(architectures_of(attrs))
            raise _Impossible(
                f"mattr {attribute!r} is not a feature that LLVM knows for {where}{near}",
                "features such as +avx2 or -fma",
                option="mattr",
                value=attribute,
            )
        if seen.setdefault(name, sign) != sign:
            raise _Impossible(
                f"mattr has both +{name} and -{name}", "one of them", option="mattr", value=attrs["mattr"]
            )


def _check_host(attrs: Mapping[str, Any], text: str | None) -> None:
    """TVM generates a CPU's code for its host target alone, so that another one would override the target unsaid."""
    if text is None:
        return
    try:
        host_attrs = _checked(_from_text(text)[1])
    except _Impossible as problem:
        raise _Impossible(f"host {problem.problem}", problem.allowed, option="host", value=text) from None
    code, host_code = ({key: part[key] for key in _CODE if part.get(key)} for part in (attrs, host_attrs))
    if code != host_code:
        itself = " ".join(["llvm", *(f"-{key}={_written(value)}" for key, value in code.items())])
        raise _Impossible("host is not the target itself", f"{itself}, or no host", option="host", value=text)


def _written(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _is_listed(arch: str) -> bool:
    return arch in known_targets.architectures()


def _name_of(attrs: Mapping[str, Any]) -> str:
    """A short name that tells targets apart: the CPU, then what is not usual about it."""
    parts = [str(attrs.get("mcpu") or attrs.get("mtriple") or attrs["kind"])]
    parts += attrs.get("mattr", [])
    if "mcpu" in attrs and "mtriple" in attrs:
        parts.append(f"-{known_targets.architecture_of(attrs['mtriple'])}")
    if "num-cores" in attrs:
        parts.append(f"-{attrs['num-cores']}-cores")
    return "".join(parts)
