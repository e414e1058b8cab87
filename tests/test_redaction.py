"""A secret never gets through, whatever it is made of and wherever in a URI a person put it."""

from __future__ import annotations

import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sweep.errors import RecordError, StudyError, in_one_line
from sweep.redaction import has_secret, redacted, redacted_about, redacted_arguments, redacted_uri, without_login

SCHEMES = st.sampled_from(["s3", "gs", "abfs", "http", "https", "postgresql", "postgresql+psycopg", "mysql", "ray"])
KEY_CHARS = "ABCDEFGHabcdefgh0123456789"
HOSTS = ("bucket", "h.example.org:5000", "[::1]:9000")
ODD = st.text(st.sampled_from(KEY_CHARS + "/+=:@?#&%;,.!$()[]{}|\\^~*-_"), min_size=8, max_size=40)
"""What passwords and AWS's secrets are made of; printable, without spaces."""
ANY = st.text(st.characters(blacklist_categories=["Cs"]), min_size=8, max_size=30)
SECRET_OPTIONS = (
    "password",
    "user",
    "secret",
    "token",
    "key",
    "sig",
    "X-Amz-Signature",
    "X-Amz-Credential",
    "access_key",
)


def is_hidden(secret: str, text: str) -> bool:
    return secret not in text and secret.strip() not in text


@st.composite
def uris(draw: st.DrawFn, secrets: st.SearchStrategy[str]) -> tuple[str, str]:
    """A URI, and the secret in it."""
    scheme, secret, host = draw(SCHEMES), "Z" + draw(secrets) + "Z", draw(st.sampled_from(HOSTS))
    login = draw(st.sampled_from([f"u:{secret}@", f"{secret}@", f"AKIA:{secret}@", f"{secret}:@", ""]))
    query = draw(
        st.sampled_from(["", "?scheme=http", "?scheme=http&region=eu", f"?{draw(st.sampled_from(SECRET_OPTIONS))}=x"])
    )
    if not login:
        query = f"?scheme=http&{draw(st.sampled_from(SECRET_OPTIONS))}={secret}"
    return f"{scheme}://{login}{host}/some/sweep{query}", secret


@given(uris(ANY))
@example(("s3://AKIA:wJalr/XUtn/FEMI@b/x", "wJalr/XUtn/FEMI"))
@example(("http://u:pa/ss@h", "pa/ss"))
@example(("http://u:p@ss@h", "p@ss"))
@example(("https://t0ken@h", "t0ken"))
@example(("https://h/x?password=hunter2", "hunter2"))
@example(("s3://b/x?endpoint_override=http%3A%2F%2Fu%3Ahunter2%40h", "hunter2"))
@example(("s3://AKIA:hunter2@b", "hunter2"))
def test_a_secret_is_in_nothing_that_is_shown_of_a_uri(case: tuple[str, str]) -> None:
    uri, secret = case
    shown = [
        redacted_uri(uri),
        without_login(uri),
        " ".join(redacted_arguments(["run", "--out", uri, f"--out={uri}"])),
        str(StudyError("is no place", key="--out", value=uri)),
    ]
    assert all(is_hidden(secret, text) for text in shown), shown
    assert has_secret(uri)
    assert redacted_uri(shown[0]) == shown[0]


@given(
    uris(ODD), st.sampled_from(["{}", "cannot open '{}': no", "({})", '"{}".', "<{}>, again", "{}: gone", "a {} b {}"])
)
def test_nor_of_a_text_that_quotes_it(case: tuple[str, str], text: str) -> None:
    uri, secret = case
    said = text.replace("{}", uri)
    assert is_hidden(secret, redacted(said))
    assert is_hidden(secret, in_one_line(RecordError(said)))
    assert is_hidden(secret, str(StudyError(said, value=[uri])))


@given(uris(ANY), st.data())
def test_nor_in_words_of_others_about_it_in_any_spelling(case: tuple[str, str], data: st.DataObject) -> None:
    uri, secret = case
    spelling = data.draw(
        st.sampled_from([str, quote, quote_plus, lambda text: quote(text, safe=""), lambda text: repr(text)[1:-1]])
    )
    said = f"the key {spelling(secret)} is not known (HTTP 403)"
    shown = redacted_about(said, uri)
    assert is_hidden(secret, shown)
    assert is_hidden(spelling(secret), shown)


@example(("s3://u:Z/000=00=Z@bucket/some/sweep", "Z/000=00=Z"))
@example(("s3://bucket/some/sweep?scheme=http&password=Z#0000000=/Z", "Z#0000000=/Z"))
@given(uris(ODD))
def test_nor_is_a_part_of_it_that_a_parser_took_for_something_else(case: tuple[str, str]) -> None:
    uri, secret = case
    for part in re.split(r"[/@:?#&;]", secret):
        if len(part) >= 8:
            assert part not in redacted_about(f"port {part!r} is no number", uri)


@pytest.mark.parametrize(
    "plain",
    [
        "http://127.0.0.1:5000",
        "sqlite:////home/me@work/mlflow.db",
        "file:///mnt/x@y/sweeps/first",
        "s3://bucket/some/sweep?endpoint_override=127.0.0.1:9000&scheme=http&region=us-east-1",
        "sweeps/first",
        "C:\\models@2",
    ],
)
def test_what_is_not_secret_stays(plain: str) -> None:
    assert redacted_uri(plain) == plain
    assert redacted(f"see {plain}.") == f"see {plain}."
    assert not has_secret(plain)


@pytest.mark.timeout(60)  # a power of the length would take minutes, or hours
@pytest.mark.parametrize("text", ["a" * 100_000, "a://" + ":" * 100_000 + "x", "secret" * 20_000 + "= ", "x@" * 50_000])
def test_a_long_text_costs_its_length(text: str) -> None:
    """An error may hold a dump of some library's, and is redacted before it is cut."""
    assert "u:p@" not in redacted(f"{text} https://u:p@h")
    assert len(redacted_arguments([text])) == 1


def test_what_is_shown_says_where() -> None:
    assert redacted_uri("postgresql://me:secret@host/db") == "postgresql://***@host/db"
    assert redacted_uri("s3://AKIA:s/e@b/x?scheme=http&secret_key=1") == "s3://***@b/x?scheme=http&***"
    assert without_login("https://t@h:5000/p?x=1#y") == "https://h:5000/p"
    assert (
        redacted_arguments(["--python", "env AWS_SECRET_ACCESS_KEY=abc python"])[1]
        == "env AWS_SECRET_ACCESS_KEY=*** python"
    )
