"""Files that appear whole, whoever else writes them and whenever a writer dies."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sweep.files.atomic import replacing, replacing_folder, write_bytes, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half_of(path: Path) -> None:
    path.write_text("half")
    Path("/").write_text("the other half")  # as a disk refuses


def test_a_file_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_text(path, "former")
    with replacing(path) as partial:
        partial.write_text("half")
        assert path.read_text() == "former"
        assert partial.name.startswith(".plan.json.")
        partial.write_text("new")

    assert path.read_text() == "new"
    assert names(tmp_path) == ["plan.json"]


@pytest.mark.parametrize("is_synced", [False, True])
def test_text_is_utf_8_and_bytes_are_as_they_are(tmp_path: Path, is_synced: bool) -> None:
    write_text(tmp_path / "text", "naïve\n", is_synced=is_synced)
    write_bytes(tmp_path / "bytes", b"\xff\x00", is_synced=is_synced)

    assert (tmp_path / "text").read_bytes() == b"na\xc3\xafve\n"
    assert (tmp_path / "bytes").read_bytes() == b"\xff\x00"


def test_an_error_leaves_the_former_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_text(path, "former")
    with pytest.raises(IsADirectoryError), replacing(path) as partial:
        write_half_of(partial)

    assert path.read_text() == "former"
    assert names(tmp_path) == ["plan.json"]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path, both = tmp_path / "plan.json", threading.Barrier(2)

    def write(letter: str) -> None:
        with replacing(path) as partial:
            partial.write_text(letter * 1000)
            both.wait(10)  # each has its own half-written file now

    writers = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert path.read_text() in ("a" * 1000, "b" * 1000)
    assert names(tmp_path) == ["plan.json"]


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    code = (
        "import os, signal, sys; from pathlib import Path; from sweep.files.atomic import replacing\n"
        "with replacing(Path(sys.argv[1])) as partial: partial.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 1
    write_text(tmp_path / "other.json", "another file")
    assert len(names(tmp_path)) == 2  # what is left of one file is not for the writer of another

    with replacing(path) as mine:  # which must not take the name of one that lives
        mine.write_text("living")
        write_text(path, "new")
        assert mine.read_text() == "living"

    assert names(tmp_path) == ["other.json", "plan.json"]
    assert path.read_text() == "living"


def test_what_another_host_has_in_the_making_stays(tmp_path: Path) -> None:
    """Of its process nobody here knows whether it lives; the folder may be shared."""
    theirs = tmp_path / ".plan.json.00000000-999999999-abcdef01.partial"
    theirs.write_text("half")

    write_text(tmp_path / "plan.json", "new")

    assert theirs.read_text() == "half"


def test_a_suffix_ends_the_temporary_name(tmp_path: Path) -> None:
    with replacing(tmp_path / "lib.so", suffix=".so") as partial:
        assert partial.suffix == ".so"
        partial.write_bytes(b"\x7fELF")
    assert names(tmp_path) == ["lib.so"]


def test_a_folder_takes_the_place_of_the_former_one(tmp_path: Path) -> None:
    target = tmp_path / "build" / "0123"
    for content in ("former", "new"):
        with replacing_folder(target) as folder:
            (folder / content).write_text(content)
    with pytest.raises(IsADirectoryError), replacing_folder(target) as folder:
        write_half_of(folder / "other")

    assert names(target) == ["new"]
    assert names(target.parent) == ["0123"]
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("is_disturbed", [False, True])
def test_a_writer_whom_another_has_overtaken_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_disturbed: bool
) -> None:
    """A worker that was given up for lost and lives, as on a node that the others have lost sight of.

    is_disturbed: what it writes meanwhile keeps its folder from being removed, in part or, as here, whole.
    """
    target = tmp_path / "0123"
    writing = replacing_folder(target)
    late = writing.__enter__()
    (late / "lib.so").write_text("late")
    with monkeypatch.context() as patch:
        if is_disturbed:
            patch.setattr(shutil, "rmtree", lambda folder, **options: None)
        with replacing_folder(target) as folder:
            (folder / "lib.so").write_text("second")

    assert not late.exists()
    with pytest.raises(FileNotFoundError):
        writing.__exit__(None, None, None)
    assert (target / "lib.so").read_text() == "second"
    with replacing_folder(tmp_path / "0123"):
        pass
    assert names(tmp_path) == ["0123"]


def test_a_folder_that_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".0123-abcdefgh").mkdir()
    with replacing_folder(tmp_path / "0123") as folder:
        (folder / "lib.so").write_bytes(b"")
    assert names(tmp_path) == ["0123"]
