"""What is made is the user's alone, whatever the umask is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mission_tracer._base.private import make_directory, open_private, sync_directory


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o277, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_files_are_0600(tmp_path: Path) -> None:
    """A file that is made has mode 0600."""
    os.close(open_private(tmp_path / "file", os.O_CREAT | os.O_RDWR))
    assert mode(tmp_path / "file") == 0o600


@pytest.mark.usefixtures("umask")
def test_directories_are_0700(tmp_path: Path) -> None:
    """A directory that is made, and each above it that was missing, has mode 0700."""
    make_directory(tmp_path / "a" / "b" / "c")
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o700] * 3


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    """A directory or a file with content that is there keeps the mode its owner gave it."""
    (tmp_path / "shared").mkdir(mode=0o755)
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o640)
    make_directory(tmp_path / "shared")
    os.close(open_private(tmp_path / "file", os.O_CREAT | os.O_RDWR))
    assert mode(tmp_path / "shared") == 0o755
    assert mode(tmp_path / "file") == 0o640


def test_a_file_in_a_directorys_place_is_an_error(tmp_path: Path) -> None:
    """Making a directory where a file is, or below one, is an error of the system's."""
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_directory(tmp_path / "file")
    with pytest.raises(NotADirectoryError):
        make_directory(tmp_path / "file" / "below")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no file system here that takes no directories")
def test_a_directory_that_cannot_be_made_is_an_error() -> None:
    """Where nothing can be made although its parent is there, the system's error comes out."""
    with pytest.raises(OSError, match="nowhere"):
        make_directory(Path("/proc/nowhere/below"))


def test_each_new_name_is_synced_in_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `sync` every directory that got a new name is synced, after the name is in it."""
    synced: list[tuple[int, list[str]]] = []

    def observe(fd: int) -> None:
        synced.append((os.fstat(fd).st_ino, os.listdir(fd)))

    monkeypatch.setattr(os, "fsync", observe)
    make_directory(tmp_path / "a" / "b", sync=True)
    assert synced == [(tmp_path.stat().st_ino, ["a"]), ((tmp_path / "a").stat().st_ino, ["b"])]
    make_directory(tmp_path / "a" / "b", sync=True)
    assert len(synced) == 2
    sync_directory(tmp_path)
    assert len(synced) == 3
