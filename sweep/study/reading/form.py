"""The base of the forms that a person fills in, and the kinds of value they share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from sweep.suggestions import hint, listed

__all__ = ["OWN", "PATTERNS", "Form", "Name", "OneOrMany", "Slug", "VersionedForm", "refuse"]


def refuse(problem: str, *, allowed: str = "", key: str = "", value: object = None) -> PydanticCustomError:
    """An error that `sweep.study.reading.validation_errors` shows as it is; `key` is relative to where it is raised."""
    # Braces would be taken for fields of a template
    return PydanticCustomError(
        "refused", "refused", {"problem": problem, "allowed": allowed, "key": key, "value": value}
    )


class Form(BaseModel):
    """A mapping that a person writes: strict types, no unknown key."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=False
    )

    @classmethod
    def allowed_keys(cls) -> list[str]:
        """The keys that may be written."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for key in value:
                if key not in cls.allowed_keys():
                    raise refuse(
                        f"is not a key here{cls.about_unknown(str(key))}",
                        allowed=listed(cls.allowed_keys()),
                        key=str(key),
                        value=value[key],
                    )
        return value

    @classmethod
    def about_unknown(cls, key: str) -> str:
        """What to say of a key that is not known."""
        return hint(key, cls.allowed_keys())


class VersionedForm(Form):
    """A whole file: it may say of which version of its form it is."""

    newest: ClassVar[int] = 1
    """Raised where a reader of the former one would misread a file, not for more keys."""

    version: int = Field(1, ge=1, description="Of the form of this file; absent: 1.")

    @model_validator(mode="before")
    @classmethod
    def _not_newer(cls, value: Any) -> Any:
        """Told before any key is: a newer version's own keys would look like slips."""
        version = value.get("version") if isinstance(value, dict) else None
        if isinstance(version, int) and not isinstance(version, bool) and version > cls.newest:
            allowed = f"up to {cls.newest}; update this package"
            raise refuse("is of a newer version of sweep", key="version", value=version, allowed=allowed)
        return value


T = TypeVar("T")

_SLUG, _NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$", r"^[A-Za-z0-9][A-Za-z0-9._+=-]*$"
OWN = "module:attribute"
"""How a file names what no package registers, in words; also the title of such a text in a schema."""
PATTERNS = {_SLUG: "small letters, digits and dashes", _NAME: "letters, digits and . _ + = -"}
"""What a pattern asks for, in words."""

Slug = Annotated[str, StringConstraints(pattern=_SLUG, max_length=80)]
Name = Annotated[str, StringConstraints(pattern=_NAME, max_length=80)]
"""Becomes part of file names and of the names of runs: no spaces, no slashes."""

OneOrMany = Annotated[
    Annotated[T, Tag("one")] | Annotated[list[T], Field(min_length=1), Tag("many")],
    Discriminator(lambda value: "many" if isinstance(value, list) else "one"),
]
