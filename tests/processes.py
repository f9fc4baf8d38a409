"""Start what a user starts: the local server, the command line, a script; each a process of its own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
CLI = (sys.executable, "-m", "mission_tracer")
NO_USERS = "import sys; sys.modules['pwd'] = None; "
"""The beginning of a program on a system that knows no users, and so no home directory but the environment's."""
HOMELESS_CLI = (sys.executable, "-c", NO_USERS + "from mission_tracer.__main__ import main; sys.exit(main())")


def environment(state: Path, **more: str) -> dict[str, str]:
    """Give a process this one's environment without any setting, a state directory, and more."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("TELNYX_", "MISSION_TRACER_"))}
    return {**kept, "MISSION_TRACER_DIR": str(state), "PYTHONDONTWRITEBYTECODE": "1", **more}


def homeless(**more: str) -> dict[str, str]:
    """Give a process an environment that names no place to keep anything."""
    kept = environment(Path())
    none = {"HOME", "XDG_STATE_HOME", "MISSION_TRACER_DIR"}
    return {**{name: text for name, text in kept.items() if name not in none}, **more}


def run(
    words: Sequence[str], env: Mapping[str, str], *, cwd: Path | None = None, said: str = "", timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        list(words), env=dict(env), cwd=cwd, input=said, capture_output=True, text=True, timeout=timeout, check=False
    )


def at_a_terminal(words: Sequence[str], env: Mapping[str, str]) -> bytes:
    """Run a program at a terminal of its own, to its end; return what is on it."""
    ours, theirs = os.openpty()
    with subprocess.Popen(list(words), env=dict(env), stdout=theirs, stderr=theirs, stdin=theirs) as process:
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # the terminal's other end is closed
            while more := os.read(ours, 65536):
                seen += more
    os.close(ours)
    assert process.returncode == 0
    return seen


@contextmanager
def forked_child(fork: Callable[[], int] = os.fork, begin: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Have a forked child of this process live while the block runs, from when it has begun."""
    (told, tell), (stay, leave) = os.pipe(), os.pipe()
    pid = fork()
    if pid == 0:
        os.close(leave)
        begin()
        os.write(tell, b"x")
        os.read(stay, 1)
        os._exit(0)
    assert os.read(told, 1) == b"x"
    try:
        yield
    finally:
        for end in (told, tell, stay, leave):
            os.close(end)
        os.waitpid(pid, 0)


def fork_waits(work: Callable[[Callable[[], object]], object]) -> bool:
    """Say whether forks wait for work on another thread; it calls in its middle what it is given."""
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def middle() -> None:
        begun.set()
        may_end.wait(10)
        ended.set()

    thread = threading.Thread(target=work, args=(middle,))
    thread.start()
    assert begun.wait(10)
    threading.Timer(0.2, may_end.set).start()
    child = os.fork()
    if child == 0:
        os._exit(0 if ended.is_set() else 1)
    thread.join()
    return os.waitpid(child, 0)[1] == 0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(*options: str, port: int = 0) -> Iterator[str]:
    """Serve the Missions API from another process while the block runs; yields its base URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "mission_tracer.server", "--port", str(port), *options],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+/v2", process.stdout.readline())
            assert found is not None, "the server did not start"
            yield found[0]
        finally:
            process.terminate()
