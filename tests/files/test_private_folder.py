"""Folders in places that all users share: what another user put there is left alone. Some need root, to be another."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sweep.errors import StudyError
from sweep.files.private_folder import check_ours, is_our_file, our_folders, private_folder

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file another user's")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def test_a_folder_is_for_this_user_alone_and_has_another_name_each_time(shared: Path) -> None:
    first, second = private_folder("sweep-x-", shared), private_folder("sweep-x-", shared)

    assert first != second
    assert stat.S_IMODE(first.stat().st_mode) == 0o700
    assert list(our_folders(shared, "sweep-x-")) == sorted([first, second])


def test_links_and_files_are_no_folders_of_ours(shared: Path) -> None:
    (shared / "real").mkdir()
    (shared / "sweep-x-link").symlink_to("real")
    (shared / "sweep-x-file").write_text("")

    assert list(our_folders(shared, "sweep-x-")) == []


def test_a_file_with_a_second_name_is_not_taken(shared: Path) -> None:
    (shared / "mine").write_text("precious")
    assert is_our_file(shared / "mine")

    (shared / "soft").symlink_to("mine")
    os.link(shared / "mine", shared / "hard")

    assert not any(is_our_file(shared / name) for name in ("soft", "hard", "absent", "."))


@as_root
def test_what_is_another_users_is_not_ours(shared: Path) -> None:
    (shared / "sweep-x-theirs").mkdir()
    (shared / "file").write_text("")
    for path in shared.iterdir():
        os.chown(path, NOBODY, NOBODY)

    assert list(our_folders(shared, "sweep-x-")) == []
    assert not is_our_file(shared / "file")


@as_root
def test_a_known_name_that_another_user_took_first_is_refused(shared: Path) -> None:
    (shared / "work").mkdir()
    check_ours(shared / "work", "SWEEP_WORK_DIR")
    check_ours(shared / "absent", "SWEEP_WORK_DIR")

    os.chown(shared / "work", NOBODY, NOBODY)

    with pytest.raises(StudyError, match="SWEEP_WORK_DIR: is another user's folder"):
        check_ours(shared / "work", "SWEEP_WORK_DIR")
    shared.chmod(0o755)
    check_ours(shared / "work", "SWEEP_WORK_DIR")  # where nobody else could have put it, it is a person's own matter


def test_a_link_in_the_place_of_a_known_name_is_refused(shared: Path) -> None:
    (shared / "work").symlink_to("/")

    with pytest.raises(StudyError, match="or a link"):
        check_ours(shared / "work", "SWEEP_WORK_DIR")
