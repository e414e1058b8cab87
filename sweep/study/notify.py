"""Whom a run tells that it has ended: what a study or a cluster file says of it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from sweep.study.reading.form import Form, refuse

__all__ = ["Notify", "NotifyForm", "read_notify", "why_no_webhook"]

_NEEDED = "http:// or https:// with a host and no login, or a $VARIABLE that holds one"


@dataclass(frozen=True, slots=True)
class Notify:
    """A program, an address, or both."""

    command: tuple[str, ...] = ()
    """Started without a shell, from the folder of the file that names it."""
    webhook: str | None = None
    """As written: variables of the environment in it are filled in when it is used, and kept nowhere."""


def why_no_webhook(address: str) -> str | None:
    """What is wrong with an address, without a word of it: those of chat services are secrets. None: nothing."""
    try:
        parts = urlsplit(address)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return "is no address"
    if re.search(r"[\s\x00-\x1f\x7f]", address) or not address.isascii():
        return "is no address"
    if not is_whole:
        return "is not an address of http or https"
    return "holds a login" if parts.username is not None or parts.password is not None else None


def _words(value: object) -> object:
    """A text is split as a shell splits it, and no shell sees it."""
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError:
        raise refuse("has a quote that is not closed", allowed="a program and its arguments") from None


def _address(value: object) -> object:
    if isinstance(value, str) and "$" not in value and (problem := why_no_webhook(value)):
        raise refuse(problem, allowed=_NEEDED)
    return value


Word = Annotated[str, Field(min_length=1, max_length=4096)]
Command = Annotated[list[Word], Field(min_length=1), BeforeValidator(_words)]


class NotifyForm(Form):
    """Who is told how a run ended."""

    command: Command | None = Field(
        None,
        description="A program and its arguments, a list or a text; it gets JSON on its standard input.",
        examples=[["./tell-the-lab.sh"]],
    )
    webhook: Annotated[str, BeforeValidator(_address)] | None = Field(
        None, max_length=4096, description="An address that the same JSON is posted to.", examples=["${LAB_WEBHOOK}"]
    )

    @model_validator(mode="after")
    def _names_someone(self) -> NotifyForm:
        if self.command is None and self.webhook is None:
            raise refuse("names nobody", allowed="command, webhook or both")
        return self


def read_notify(form: NotifyForm | None) -> Notify | None:
    """From the form."""
    return None if form is None else Notify(tuple(form.command or ()), form.webhook)
