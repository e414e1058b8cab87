"""Which paths that a file names stay in their folder."""

from __future__ import annotations

import os
import socket
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.files.confined import OutsideFolder, below, leading_out, relative

PARTS = st.sampled_from(["..", ".", "", "a", "b.json", "artifacts", "~", "...", "-", " ", "é", "\\", "C:", "*"])
WRITTEN = st.one_of(st.text(), st.lists(PARTS, max_size=6).map("/".join), st.lists(st.text(max_size=9)).map("/".join))


@given(WRITTEN)
def test_what_is_taken_stays_below(written: str) -> None:
    try:
        path = relative(written)
    except OutsideFolder:
        return

    assert os.path.normpath(f"/f/{path}") == f"/f/{path}"
    assert os.path.normpath(f"/f/{written}") == f"/f/{path}"
    assert str(path) not in ("", ".")
    assert path.parts


@given(WRITTEN)
def test_what_is_taken_is_taken_again_as_the_same(written: str) -> None:
    try:
        path = relative(written)
    except OutsideFolder:
        return

    assert relative(str(path)) == path


@given(st.lists(st.text("abc.-_ é", min_size=1, max_size=8).filter(lambda part: part not in (".", "..")), min_size=1))
def test_an_ordinary_path_is_taken_as_it_is(parts: list[str]) -> None:
    assert relative("/".join(parts)) == PurePosixPath(*parts)


@pytest.mark.parametrize(
    "written",
    [
        *("", ".", "./.", "/", "/etc/passwd", "//etc/passwd", "..", "../a", "a/../b", "a/..", "a/../../b"),
        *("a\0b", "a\nb", "\x1b[2J", "a\x7f", "\udcff", "a" * 256, "a/" * 3000),
        *(None, 3, b"a", ["a"], {"a": 1}, True),
    ],
)
def test_what_is_no_path_below_a_folder_is_refused(written: object, tmp_path: Path) -> None:
    with pytest.raises(OutsideFolder):
        relative(written)
    with pytest.raises(OutsideFolder):
        below(tmp_path, written)


def test_a_link_may_lead_about_in_the_folder_and_not_out_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "real").mkdir(parents=True)
    (folder / "inside").symlink_to("real")
    (folder / "outside").symlink_to(tmp_path)
    (folder / "circle").symlink_to("circle")

    assert below(folder, "inside/new/file") == folder / "inside/new/file"
    assert below(folder, "not/there") == folder / "not/there"
    for written in ("outside", "outside/new", "circle", "circle/new"):
        with pytest.raises(OutsideFolder, match="link"):
            below(folder, written)


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "named").symlink_to("real")

    assert below(tmp_path / "named", "a/b") == tmp_path / "named/a/b"
    assert leading_out(tmp_path / "named", 3) is None


def test_links_out_and_pipes_are_found_down_to_a_depth(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    deep = folder / "a/b/c"
    deep.mkdir(parents=True)
    (folder / "a/inside").symlink_to("b")
    (folder / "gone").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
    (deep / "file").write_text("")
    assert leading_out(folder, 9) is None
    assert leading_out(folder / "absent", 9) is None

    os.mkfifo(deep / "pipe")
    assert leading_out(folder, 3) is None
    assert leading_out(folder, 4) == deep / "pipe"

    (folder / "a/out").symlink_to("/etc/passwd")
    assert leading_out(folder, 2) == folder / "a/out"
