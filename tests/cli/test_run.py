"""`run`: a program under it is what it is under plain `python`; the run says how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mission_tracer._disk.directory import Directory
from mission_tracer.cli._reading import journals
from mission_tracer.cli._reading.picture import RunPicture
from tests import processes

PICKLE = """
import pickle
class Thing:
    pass
def double(x):
    return 2 * x
if __name__ == "__main__":
    print(type(pickle.loads(pickle.dumps(Thing()))).__name__, pickle.loads(pickle.dumps(double)) is double)
"""
SPAWN = """
import multiprocessing, sys
def double(x):
    return 2 * x
if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print(pool.map(double, range(5)))
"""
THREADS = """
import threading, time
def work():
    time.sleep(0.05)
    print("from the thread")
threading.Thread(target=work).start()
print("from the main thread")
"""
FACE = """
import sys
print(__name__, sys.argv, sys.path, sys.flags, sys.executable, sys.orig_argv, __file__)
print("mission_tracer" in sys.modules, sys.gettrace(), sys.excepthook is sys.__excepthook__)
print(sys.stdin.read())
"""
FORK = """
import os, sys
pid = os.fork()
if not pid:
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
BINARY = """
import sys
sys.stdout.buffer.write(bytes(range(256)))
sys.stderr.buffer.write(b"\\xff\\xfe")
"""
ASYNC = """
import asyncio
async def f():
    await asyncio.sleep(0)
    print("ran")
asyncio.run(f())
"""
DESCRIPTORS = """
import os
print(sorted(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0)
"""

MATRIX: dict[str, tuple[str, list[str]]] = {
    "face": (FACE, ["{script}", "a", "--mission", "-m", "--", "b c"]),
    "exit": ("import sys; sys.exit(3)", ["{script}"]),
    "exit text": ("import sys; sys.exit('no soap')", ["{script}"]),
    "raise": ("def f():\n    raise ValueError('boom')\nf()", ["{script}"]),
    "os._exit": ("import os; os._exit(4)", ["{script}"]),
    "syntax error": ("def f(:", ["{script}"]),
    "no such file": ("", ["nowhere.py"]),
    "sigterm": ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", ["{script}"]),
    "sigkill": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", ["{script}"]),
    "sigint": ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", ["{script}"]),
    "sigpipe": ("import os, signal; print(signal.getsignal(signal.SIGPIPE)); os.kill(os.getpid(), 13)", ["{script}"]),
    "sigint by hand": ("raise KeyboardInterrupt", ["{script}"]),
    "no exception of ours": ("class Stop(BaseException):\n    pass\nraise Stop('x')", ["{script}"]),
    "sighup": ("import os, signal; os.kill(os.getpid(), signal.SIGHUP)", ["{script}"]),
    "error in a thread": ("import threading; threading.Thread(target=int, args='x').start()", ["{script}"]),
    "exec": ("import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'exit(6)'])", ["{script}"]),
    "abort": ("import os; os.abort()", ["{script}"]),
    "pickle": (PICKLE, ["{script}"]),
    "spawn": (SPAWN, ["{script}", "spawn"]),
    "fork": (SPAWN, ["{script}", "fork"]),
    "forkserver": (SPAWN, ["{script}", "forkserver"]),
    "threads": (THREADS, ["{script}"]),
    "forked child": (FORK, ["{script}"]),
    "module": (PICKLE, ["-m", "{module}", "-m", "x"]),
    "module of a package": ("", ["-m", "json.tool", "--indent", "1"]),
    "no such module": ("", ["-m", "nowhere.at.all"]),
    "words like ours last": ("import sys; print(sys.argv)", ["-m", "plain_script", "--step", "-m"]),
    "code": ("", ["-c", "import sys; print(sys.argv, __name__)", "-c", "a"]),
    "stdin": ("", ["-", "a"]),
    "binary": (BINARY, ["{script}"]),
    "async": (ASYNC, ["{script}"]),
    "atexit": ("import atexit; atexit.register(print, 'late'); raise SystemExit(0)", ["{script}"]),
    "mask": ("import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))", ["{script}"]),
    "descriptors": (DESCRIPTORS, ["{script}"]),
}  # fmt: skip
STDIN = {"stdin": "import sys; print(sys.argv, __name__)", "module of a package": '{"a": [1, 2]}'}


@pytest.fixture
def env(state: Path) -> dict[str, str]:
    return processes.environment(state, MISSION_TRACER_LOG_LEVEL="off")


def started(words: list[str], env: dict[str, str], cwd: Path, said: str) -> tuple[int, bytes, bytes]:
    done = subprocess.run(words, env=env, cwd=cwd, input=said.encode(), capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def picture(state: Path) -> RunPicture:
    """Read the one run of the test from its journal."""
    directory = Directory(state)
    [key] = directory.keys()
    run = journals.picture(directory, key)
    assert run is not None
    return run


@pytest.mark.parametrize("case", MATRIX)
def test_a_program_is_what_it_is_under_plain_python(
    case: str, tmp_path: Path, env: dict[str, str], state: Path
) -> None:
    """Output, errors and exit status are those of plain `python`, whatever the program does."""
    code, words = MATRIX[case]
    (tmp_path / "plain_script.py").write_text(code)
    words = [word.format(script="plain_script.py", module="plain_script") for word in words]
    said = STDIN.get(case, "hello\n")
    plain = started([sys.executable, *words], env, tmp_path, said)
    ours = started([*processes.CLI, "run", *words], env, tmp_path, said)
    assert ours == plain
    assert not picture(state).is_open


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("pass", "succeeded", None),
        ("import sys; sys.exit(0)", "succeeded", None),
        ("import sys; sys.exit(3)", "failed", "exit status 3"),
        ("import sys; sys.exit('no soap')", "failed", "exit status 1"),
        ("raise ValueError('boom')", "failed", "ValueError: boom"),
        ("raise GeneratorExit", "failed", "GeneratorExit"),
        ("raise KeyboardInterrupt", "cancelled", None),
        ("import os; os._exit(4)", "failed", "exit status 4"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "failed", "killed by SIGTERM"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "failed", "killed by SIGKILL"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", "cancelled", None),
        ("try:\n    1/0\nexcept ZeroDivisionError:\n    pass", "succeeded", None),
    ],
)
def test_the_run_ends_as_the_program_ended(
    code: str, status: str, error: str | None, env: dict[str, str], state: Path, tmp_path: Path
) -> None:
    """Exit status 0 is a success, Ctrl-C a cancellation, everything else a failure with its reason."""
    processes.run([*processes.CLI, "run", "-c", code], env)
    run = picture(state)
    assert (run.status, run.error) == (status, error)


def test_an_uncaught_exception_is_an_error_event(env: dict[str, str], state: Path) -> None:
    """The exception that ended the program is an `error` event with its traceback."""
    processes.run([*processes.CLI, "run", "-c", "def f():\n    raise ValueError('boom')\nf()"], env)
    [event] = picture(state).events
    assert (event.type, event.summary) == ("error", "ValueError: boom")
    assert "in f" in event.payload["error"]["traceback"]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, "failed"), (signal.SIGINT, "cancelled"), (signal.SIGHUP, "failed")]
)
def test_a_signal_is_handed_on(number: int, status: str, env: dict[str, str], state: Path) -> None:
    """A signal sent to us reaches the program, and both end by it."""
    # Python begins a long sleep although a signal came in the moment before it.
    code = "import time\nprint('ready', flush=True)\nfor _ in range(6000): time.sleep(0.01)"
    with subprocess.Popen(
        [*processes.CLI, "run", "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as p:
        assert p.stdout is not None
        p.stdout.readline()
        p.send_signal(number)
        p.communicate(timeout=30)
    assert p.returncode == -number
    assert picture(state).status == status


def test_a_program_may_handle_its_signals(env: dict[str, str], state: Path) -> None:
    """A program that takes SIGTERM and SIGUSR1 for itself goes on, and its own end counts."""
    code = (
        "import signal, sys, time\n"
        "got = []\n"
        "signal.signal(signal.SIGUSR1, lambda n, f: (got.append(n), print('woken', flush=True)))\n"
        "signal.signal(signal.SIGTERM, lambda n, f: (print(len(got), 'tidied up'), sys.exit(0)))\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    time.sleep(0.01)\n"
    )
    with subprocess.Popen([*processes.CLI, "run", "-c", code], env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.readline() == b"woken\n"
        process.terminate()
        assert process.communicate(timeout=30)[0] == b"1 tidied up\n"
    assert process.returncode == 0
    assert picture(state).status == "succeeded"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux lets a child die with its parent")
def test_killing_us_kills_the_program(env: dict[str, str], state: Path) -> None:
    """Kill -9 of the process that was started ends the program too; the next to look closes the run as failed."""
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with subprocess.Popen([*processes.CLI, "run", "-c", code], env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
        process.wait()
        assert process.stdout.read() == b""  # returns when the program, which holds the other end, is gone
    with pytest.raises(ProcessLookupError):
        wait_until_gone(pid)
    assert picture(state).status == "interrupted"


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        os.kill(pid, 0)
        time.sleep(0.01)


WORK = """
def fetch(city):
    return [city] * 3

class Shop:
    def __init__(self, name):
        self.name = name
    def sell(self, n):
        return n
    @classmethod
    def open(cls, name):
        return cls(name)
    @staticmethod
    def close():
        return "closed"

async def think(x):
    return x

def count(n):
    yield from range(n)
"""
SCRIPT = """
import asyncio
from work import Shop, count, fetch, think

def main(greeting):
    print(greeting, fetch("Chicago"), Shop.open("ABC").sell(2), Shop.close(), asyncio.run(think(1)), list(count(2)))

if __name__ == "__main__":
    main("hello")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "work.py").write_text(WORK)
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def ids(run: RunPicture) -> list[str]:
    return [step.step_id for step in run.steps]


def test_named_functions_become_steps(project: Path, env: dict[str, str], state: Path) -> None:
    """Functions of modules and of the script itself are steps, of every kind, and the program sees no difference."""
    plain = processes.run([sys.executable, "script.py"], env, cwd=project)
    methods = ["work:Shop.sell", "work:Shop.open", "work:Shop.close"]
    names = ["__main__:main", "work:fetch=Get them", *methods, "work:think", "work:count"]
    ours = processes.run(
        [*processes.CLI, "run", *(f"--step={name}" for name in names), "script.py"],
        {**env, "MISSION_TRACER_LOG_LEVEL": "error"},
        cwd=project,
    )
    assert (ours.returncode, ours.stdout, ours.stderr) == (0, plain.stdout, "")
    run = picture(state)
    assert ids(run) == ["main", "fetch", "open", "sell", "close", "think", "count"]
    assert {step.status for step in run.steps} == {"completed"}
    assert {step.parent_step_id for step in run.steps[1:]} == {"main"}
    assert run.steps[1].description == "Get them"


def test_named_functions_become_tools(project: Path, env: dict[str, str], state: Path) -> None:
    """A function named as a tool logs its call and its result."""
    processes.run([*processes.CLI, "run", "--tool", "work:fetch", "script.py"], env, cwd=project)
    assert [(event.type, event.payload["tool"]) for event in picture(state).events] == [
        ("tool_call", "fetch"),
        ("tool_result", "fetch"),
    ]


def test_a_module_that_runs_as_main_is_known_by_its_own_name(project: Path, env: dict[str, str], state: Path) -> None:
    """`--step script:main` means the script, run as a file or by -m."""
    for words in (["script.py"], ["-m", "script"]):
        processes.run([*processes.CLI, "run", "--step", "script:main", *words], env, cwd=project)
    directory = Directory(state)
    runs = [journals.picture(directory, key) for key in sorted(directory.keys())]
    assert [ids(run) for run in runs if run is not None] == [["main"], ["main"]]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("work:nothing", "work has no nothing"),
        ("nowhere:f", "nowhere was never imported"),
        ("__main__:nothing", "the program has no nothing"),
        ("work:Shop", "TypeError: "),
    ],
)
def test_a_name_that_does_not_exist_is_a_warning(name: str, why: str, project: Path, state: Path) -> None:
    """A name that is not there is one warning that says so; the program runs, and its run succeeds."""
    env = processes.environment(state)
    done = processes.run([*processes.CLI, "run", "--step", name, "script.py"], env, cwd=project)
    assert (done.returncode, done.stdout[:5]) == (0, "hello")
    [line] = [line for line in done.stderr.splitlines() if "--step" in line]
    assert line.startswith(f"mission_tracer: warning: --step {name}: {why}")
    assert picture(state).status == "succeeded"


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import os\nif (pid := os.fork()):\n    os.waitpid(pid, 0)", "the program has no main"),
        ("import sys\nsys.settrace(None)\ndef main(): ...", "main was not seen when it was defined"),
        ("def main(:", "main was not seen when it was defined"),
    ],
    ids=["forks", "is not followed to its end", "is no Python"],
)
def test_the_warning_comes_once_and_is_true(program: str, why: str, tmp_path: Path, state: Path) -> None:
    """A program that forks is warned once, and one whose definitions we could not follow is not told of imports."""
    (tmp_path / "script.py").write_text(program)
    done = processes.run(
        [*processes.CLI, "run", "--step", "__main__:main", "script.py"], processes.environment(state), cwd=tmp_path
    )
    said = [line for line in done.stderr.splitlines() if "--step" in line]
    assert said == [f"mission_tracer: warning: --step __main__:main: {why}"]


REQUEST = """
import sys
print("httpx" in sys.modules)
import httpx
client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200)))
print(client.get("http://shop.example/soap").status_code)
"""


def test_a_library_is_recorded_when_it_is_imported(env: dict[str, str], state: Path) -> None:
    """--instrument imports no library into a program; one that the program imports is recorded from then on."""
    done = processes.run([*processes.CLI, "run", "--instrument", "httpx,requests", "-c", REQUEST], env)
    assert (done.stdout, done.stderr) == ("False\n200\n", "")
    assert [(event.type, event.payload["tool"]) for event in picture(state).events] == [
        ("tool_call", "http"),
        ("tool_result", "http"),
    ]


def test_a_spawned_worker_takes_part(tmp_path: Path, env: dict[str, str], state: Path) -> None:
    """Steps of the main module are steps in spawned workers too, and in child Pythons."""
    (tmp_path / "script.py").write_text(SPAWN)
    done = processes.run([*processes.CLI, "run", "--step", "__main__:double", "script.py", "spawn"], env, cwd=tmp_path)
    assert done.stdout == "[0, 2, 4, 6, 8]\n"
    found = ids(picture(state))
    assert len(set(found)) == len(found) == 5
    assert all(name.startswith("double") for name in found)


def test_a_child_python_takes_part(tmp_path: Path, env: dict[str, str], state: Path) -> None:
    """A Python that the program starts, and that uses mission_tracer, records into the same run."""
    (tmp_path / "child.py").write_text(
        "import mission_tracer as mt\nwith mt.plan_step('inner'):\n    mt.log_event('soap')\n"
    )
    code = "import subprocess, sys; subprocess.run([sys.executable, 'child.py'], check=True)"
    assert processes.run([*processes.CLI, "run", "-c", code], env, cwd=tmp_path).returncode == 0
    run = picture(state)
    assert (ids(run), [event.summary for event in run.events]) == (["inner"], ["soap"])


def test_a_hidden_sitecustomize_does_its_work(tmp_path: Path, env: dict[str, str]) -> None:
    """A `sitecustomize` that ours hides is imported all the same, under its own name."""
    (tmp_path / "sitecustomize.py").write_text("print('customized', __name__, __file__)")
    env = {**env, "PYTHONPATH": str(tmp_path)}
    code = "import sitecustomize; print(sitecustomize.__file__)"
    plain = processes.run([sys.executable, "-c", code], env)
    ours = processes.run([*processes.CLI, "run", "-c", code], env)
    assert "customized sitecustomize" in plain.stdout
    assert ours.stdout == f"customized sitecustomize {tmp_path}/sitecustomize.py\n" + plain.stdout  # we start by it too
    assert ours.stderr == plain.stderr


def test_options_come_from_pyproject(project: Path, env: dict[str, str], state: Path) -> None:
    """`[tool.mission_tracer]` says what is always asked for; the command line adds to it."""
    (project / "pyproject.toml").write_text(
        '[tool.mission_tracer]\nmission = "Wash windows"\nstep = ["__main__:main"]\nplan = ["main", "report"]\n'
    )
    processes.run(
        [*processes.CLI, "run", "--step", "work:fetch", "--plan", "rest=The rest", "script.py"], env, cwd=project
    )
    run = picture(state)
    assert run.mission == "Wash windows"
    assert [(step.step_id, step.status) for step in run.steps] == [
        ("main", "completed"),
        ("report", "skipped"),
        ("rest", "skipped"),
        ("fetch", "completed"),
    ]


@pytest.mark.parametrize(
    ("table", "said"), [("steps = []", "steps"), ("step = 3", "Expected `array`"), ("=", "pyproject.toml: ")]
)
def test_a_wrong_table_is_a_failure(table: str, said: str, project: Path, env: dict[str, str]) -> None:
    """A table that cannot be read is one line that names the file, and nothing runs."""
    (project / "pyproject.toml").write_text(f"[tool.mission_tracer]\n{table}\n")
    done = processes.run([*processes.CLI, "run", "script.py"], env, cwd=project)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {project}/pyproject.toml: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_pyproject_of_nobody_is_left_alone(tmp_path: Path, env: dict[str, str]) -> None:
    """What else is wrong in a pyproject.toml is not ours to refuse."""
    (tmp_path / "pyproject.toml").write_text("tool = 3")
    done = processes.run([*processes.CLI, "run", "-c", "print(1)"], env, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "1\n")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["-m"],
        ["-c"],
        ["--step", "work", "x.py"],
        ["--step", "a:b-c", "x.py"],
        ["--bogus", "x.py"],
        ["--plan", "=a", "x.py"],
    ],
)
def test_wrong_words_are_a_failure(words: list[str], env: dict[str, str]) -> None:
    """What cannot be understood is one line and status 2."""
    done = processes.run([*processes.CLI, "run", *words], env)
    assert (done.returncode, done.stdout, done.stderr[:7], done.stderr.count("\n")) == (2, "", "error: ", 1)


def test_output_can_be_kept(env: dict[str, str], state: Path) -> None:
    """--capture-output logs the last of standard output and error, which arrive unchanged."""
    code = "import sys; print('x' * 20000); print('soap', file=sys.stderr)"
    done = processes.run([*processes.CLI, "run", "--capture-output", "-c", code], env)
    assert (done.stdout, done.stderr) == ("x" * 20000 + "\n", "soap\n")
    out, err = picture(state).events
    assert (out.payload["stream"], out.payload["bytes"], len(out.payload["text"])) == ("stdout", 20001, 8192)
    assert (err.payload["stream"], err.payload["text"]) == ("stderr", "soap\n")


def test_switched_off_it_only_runs_the_program(env: dict[str, str], state: Path) -> None:
    """With recording switched off the program runs, and nothing is written."""
    done = processes.run([*processes.CLI, "run", "-c", "print(1)"], {**env, "MISSION_TRACER_ENABLED": "false"})
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert not state.exists()


def test_a_run_inside_a_run_wraps_its_own_functions(project: Path, env: dict[str, str], state: Path) -> None:
    """The functions named for a program are not those of a program that is run inside it."""
    inner = [*processes.CLI, "run", "--mission", "Inner", "script.py"]
    code = f"import subprocess; subprocess.run({inner!r}, check=True)"
    words = [*processes.CLI, "run", "--mission", "Outer", "--step", "work:fetch", "-c", code]
    assert processes.run(words, env, cwd=project).returncode == 0
    directory = Directory(state)
    runs = {run.mission: run for key in directory.keys() if (run := journals.picture(directory, key))}  # noqa: SIM118
    assert {name: ids(run) for name, run in runs.items()} == {"Inner": [], "Outer": []}
