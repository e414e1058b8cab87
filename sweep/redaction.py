"""Takes secrets out of what is shown, written and sent: logins and keys that stand in URIs. Values in, values out.

A URI as a person writes it need not be well-formed: AWS's secrets hold `/`, passwords `@`, `:` and `?`. So nothing is
parsed: all before the last `@` is a login, and everything is where an `@` follows a `?`; of the query only what is
known to be harmless is shown. This shows too little of a path that has an `@`, and never too much.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus

__all__ = ["HIDDEN", "has_secret", "redacted", "redacted_about", "redacted_arguments", "redacted_uri", "without_login"]

HIDDEN = "***"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,60}://")
"""Of a length that no scheme has: without an end, a long word would be looked through from each of its letters on."""
_IN_TEXT = re.compile(rf"{_SCHEME.pattern}\S*")
"""Up to a space: a quote may be part of a password."""
_CLOSING = "\"')]}>,;:."
"""What closes a sentence behind a URI is no part of it."""
_NAMED = re.compile(
    r"(?<!\w)(?=\w++=[^\s?&#;])(\w*?(?:secret|passw|token|credential|signature|access_?key)\w*=)[^\s?&#;]+",
    re.IGNORECASE,
)
"""A variable of the environment, or an option, that says by its name what it is. Each word is looked at once."""
_QUERY = re.compile(r"([?#&;])")
_HARMLESS = frozenset(
    "allow_bucket_creation allow_bucket_deletion charset connect_timeout endpoint_override mode region scheme sslmode "
    "timeout tls uri".split()
)
"""Options of stores and databases that say where and how, and not who."""
_PLAIN_VALUE = re.compile(r"[\w.:/\[\]-]*")
"""A value with a percent sign may be an address with a login in it."""
_TELLING_CHARS = 4
"""A part of a secret is looked for in other programs' words from this length on; shorter ones are parts of words."""
_MARK = re.compile(r"[/@:?#&;=]")
_MOST_MARKS = 32
"""In a secret; its parts are as many as the square of it."""


def redacted_uri(uri: str) -> str:
    """A URI, all of this text, without login and without values of its query that may be secret."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return uri
    login, shown = _split(scheme, rest)
    place, *query = _QUERY.split(shown)
    parts = [mark + _shown_option(option) for mark, option in zip(query[::2], query[1::2], strict=True)]
    at = "@" if shown else ""
    return f"{scheme}://{f'{HIDDEN}{at}' if login else ''}{place}{''.join(parts)}"


def redacted(text: str) -> str:
    """A text with each URI in it as `redacted_uri` shows it. For a URI that is known, `redacted_about` sees more."""
    return _IN_TEXT.sub(_redacted_match, text) if "://" in text else text


def redacted_about(text: str, uri: str) -> str:
    """What another program says of a URI, which may quote any part of it, in any spelling."""
    text = text.replace(uri, redacted_uri(uri))
    for secret in sorted(_secrets_of(uri), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return redacted(text)


def redacted_arguments(arguments: Iterable[str]) -> list[str]:
    """Words of a command line. From its scheme on a word is a URI to its end, spaces and quotes included."""
    shown = []
    for argument in arguments:
        argument = _NAMED.sub(rf"\1{HIDDEN}", argument)
        found = _SCHEME.search(argument)
        shown.append(argument if found is None else argument[: found.start()] + redacted_uri(argument[found.start() :]))
    return shown


def has_secret(uri: str) -> bool:
    """Whether something of it is not for everybody to read."""
    return redacted_uri(uri) != uri


def without_login(uri: str) -> str:
    """Scheme, host and path alone: an address to go to, with neither login nor query."""
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{_QUERY.split(_split(scheme, rest)[1])[0]}" if separator else uri


def _redacted_match(found: re.Match[str]) -> str:
    uri = found[0].rstrip(_CLOSING)
    return redacted_uri(uri) + found[0][len(uri) :]


def _split(scheme: str, rest: str) -> tuple[str, str]:
    """Login and what follows it. A path of this machine has none, and may have an `@`."""
    if rest.startswith("/") and scheme.partition("+")[0].lower() in ("file", "sqlite"):
        return "", rest
    login, _, place = rest.rpartition("@")
    # Either the login has a `?`, or the query an `@`: which of them cannot be told
    return (rest, "") if "?" in login or "#" in login else (login, place)


def _shown_option(option: str) -> str:
    name, equals, value = option.partition("=")
    is_plain = equals and name in _HARMLESS and _PLAIN_VALUE.fullmatch(value)
    return option if is_plain or not option else HIDDEN


def _secrets_of(uri: str) -> set[str]:
    """What of it is secret: whole, in parts, and as programs may spell it."""
    scheme, _, rest = uri.partition("://")
    login, shown = _split(scheme, rest)
    values = [option.partition("=")[2] or option for option in _hidden_options(shown)]
    name, _, password = login.partition(":")
    whole = {login, password or name, *values}
    if len(name) >= _TELLING_CHARS:
        whole.add(name)
    parts = {part for text in whole for part in _parts_of(text) if len(part) >= _TELLING_CHARS}
    spelled = {spell(text) for text in whole | parts for spell in (unquote, unquote_plus, _quoted, quote_plus, _repr)}
    return {text for text in whole | parts | spelled if text}


def _hidden_options(shown: str) -> Iterator[str]:
    """Options that are not shown, each, and those in a row together: a secret with a mark in it looks like several."""
    _, *pieces = _QUERY.split(shown)
    hidden = ""
    for mark, option in zip(pieces[::2], pieces[1::2], strict=True):
        if _shown_option(option) != option:
            yield option
            hidden += f"{mark}{option}"
        elif hidden:
            yield hidden[1:]
            hidden = ""
    if hidden:
        yield hidden[1:]


def _parts_of(text: str) -> Iterator[str]:
    """What lies between any two marks of a URI: a parser that goes by some of them alone takes it for a port, or a
    host. Of a text of many marks only what has none in it.
    """
    ends = [-1, *(found.start() for found in _MARK.finditer(text)), len(text)]
    furthest = len(ends) if len(ends) <= _MOST_MARKS else 1
    for place, before in enumerate(ends[:-1]):
        for after in ends[place + 1 : place + 1 + furthest]:
            yield text[before + 1 : after]


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _repr(text: str) -> str:
    return repr(text)[1:-1]
