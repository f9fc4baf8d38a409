"""Files that several append to: a line is there whole, or says nothing, whoever dies while he writes it."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mission_tracer._base.held_write import Writer
from mission_tracer._disk.journal_file import AppendFile, whole_length
from tests.journals import FACTS, TEXTS, contents, fact, ids


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@settings(max_examples=200, deadline=None)
@given(before=FACTS, torn=TEXTS, cut=st.integers(0, 400), after=FACTS)
def test_a_torn_line_hides_no_other(before: list[bytes], torn: str, cut: int, after: list[bytes]) -> None:
    """A line cut off anywhere, by a death or a power cut, says nothing; all before and after it is read."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        path = Path(scratch) / "j"
        first = AppendFile(path, create=True)
        stack.callback(first.close)
        for line in before:
            first.append(line)
        os.write(first.fd, fact(99, torn)[:cut])
        second = AppendFile(path, create=False)
        stack.callback(second.close)
        for line in after:
            second.append(line)
        assert contents(path) == [*before, *after]


@settings(max_examples=100, deadline=None)
@given(torn=TEXTS, cut=st.integers(0, 400), after=FACTS.filter(bool))
def test_a_writer_that_did_not_see_the_tear_is_read(torn: str, cut: int, after: list[bytes]) -> None:
    """Facts of a process that had the file open when another one died in mid-line are all read."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        path = Path(scratch) / "j"
        dies, lives = AppendFile(path, create=True), AppendFile(path, create=True)
        stack.callback(dies.close)
        stack.callback(lives.close)
        os.write(dies.fd, fact(99, torn)[:cut])
        for line in after:
            lives.append(line)
        assert ids(path) == [f"writer00.{n}" for n in range(len(after))]


@settings(max_examples=200, deadline=None)
@given(lines=FACTS, data=st.data())
def test_what_was_refused_is_never_read(lines: list[bytes], data: st.DataObject) -> None:
    """A line is read if, and only if, `append` returned: also when the disk took all of it but its end."""

    def write(fd: int, content: bytes, _size: int) -> int:
        room = data.draw(st.one_of(st.just(len(content)), st.integers(-1, len(content)), st.just(len(content) - 1)))
        if room < 0:
            raise OSError(errno.ENOSPC, "full")
        return os.write(fd, content[:room])

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "j"
        writer = Writer()
        writer.write = write
        file = AppendFile(path, create=True, writer=writer)
        kept = []
        for line in lines:
            try:
                file.append(line)
            except OSError:
                continue
            kept.append(line)
        file.close()
        last = AppendFile(path, create=False)
        last.append(b"{}")
        last.close()
        assert contents(path) == [*kept, b"{}"]


def test_processes_append_at_once(path: Path) -> None:
    """Lines of several processes that append at the same time stand whole in the file, each process's in its order."""
    code = """
import sys
from pathlib import Path
from mission_tracer._disk.journal import AppendFile
file = AppendFile(Path(sys.argv[1]), create=True)
print("ready", flush=True)
sys.stdin.readline()
for number in range(400):
    file.append(f"{sys.argv[2]} {number} {'x' * (number * 97 % 9000)}".encode())
"""
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), name], stdin=-1, stdout=-1, text=True)
        for name in ("a", "b", "c")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
    found = [line.decode().split(" ") for line in contents(path)]
    for name in ("a", "b", "c"):
        assert [(int(number), len(rest)) for who, number, rest in found if who == name] == [
            (number, number * 97 % 9000) for number in range(400)
        ]


def test_the_end_of_a_file_is_that_of_its_last_whole_line(path: Path) -> None:
    """A line that is being written, or was cut off, does not count as length."""
    file = AppendFile(path, create=True)
    assert whole_length(path) == 0
    file.append(b"one")
    os.write(file.fd, b"x" * 200_000)
    assert whole_length(path) == 4
    file.close()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_files_are_the_users_alone(umask: int, path: Path) -> None:
    """A journal has mode 0600 whatever the umask is."""
    before = os.umask(umask)
    try:
        AppendFile(path, create=True).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_interrupted_write_is_repeated(path: Path) -> None:
    """A line whose writing was interrupted, or failed without a word, is written once more by the system's own call."""
    writer = Writer()
    writer.write = lambda *_: -1
    file = AppendFile(path, create=True, writer=writer)
    file.append(b"one")
    file.append(b"two")
    file.close()
    assert contents(path) == [b"one", b"two"]


def test_a_file_knows_whether_it_has_its_name(path: Path) -> None:
    """A file is in place as long as its name means it: not when it is gone, and not when another one has the name."""
    file = AppendFile(path, create=True)
    assert file.is_in_place()
    path.unlink()
    assert not file.is_in_place()
    path.touch()
    assert not file.is_in_place()
    file.close()
