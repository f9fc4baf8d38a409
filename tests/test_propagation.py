"""One run across tasks, threads, processes and machines."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import functools
import gc
import inspect
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

import mission_tracer as mt
from mission_tracer import _context, facts, recorder
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.journal import iterate_lines
from mission_tracer._scopes.share import _shares

Journal = Callable[[], list[facts.Fact]]


def events(found: list[facts.Fact]) -> list[tuple[str, str | None]]:
    """The events of a journal: summary and step."""
    bodies = [msgspec.json.decode(f.body) for f in found if isinstance(f, facts.Event)]
    return [(body["summary"], body.get("step_id")) for body in bodies]


def note(text: str = "noted") -> str:
    mt.log_event(text)
    return text


def python(code: str, **environ: str) -> str:
    """Run a script in another process; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        check=False,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


# ---- asyncio needs nothing ----


def test_tasks_keep_their_run_and_step(journal: Journal) -> None:
    """Tasks, gather, task groups and to_thread record in the step that they were started in; nothing is switched on."""

    async def speak(text: str) -> None:
        await asyncio.sleep(0)
        note(text)

    async def main() -> None:
        with mt.mission_run("m"):
            with mt.plan_step("one"):
                task = asyncio.create_task(speak("task"))
                await asyncio.gather(speak("gather"), speak("gathered"))
                await asyncio.to_thread(note, "thread")
            if sys.version_info >= (3, 11):
                with mt.plan_step("two"):
                    async with asyncio.TaskGroup() as group:
                        group.create_task(speak("group"))
            await task

    asyncio.run(main())
    expected = {("task", "one"), ("gather", "one"), ("gathered", "one"), ("thread", "one")}
    if sys.version_info >= (3, 11):
        expected.add(("group", "two"))
    assert set(events(journal())) == expected


def test_steps_of_parallel_tasks_do_not_cross(journal: Journal) -> None:
    """Two tasks with a step each, taking turns, record each in its own."""

    async def work(name: str) -> None:
        with mt.plan_step(name):
            for number in range(3):
                note(f"{name} {number}")
                await asyncio.sleep(0)

    async def main() -> None:
        with mt.mission_run("m"):
            await asyncio.gather(work("a"), work("b"))

    asyncio.run(main())
    assert sorted(events(journal())) == [(f"{n} {i}", n) for n in "ab" for i in range(3)]


def test_a_generator_resumed_in_other_tasks_keeps_its_step(journal: Journal) -> None:
    """An async generator that is a step records in it, whichever task asks for an item, and leaks it into none."""

    @mt.plan_step("numbers")
    async def numbers() -> AsyncIterator[int]:
        for number in range(3):
            note(f"made {number}")
            yield number

    async def take(source: AsyncIterator[int]) -> None:
        await source.__anext__()
        note("taken")

    async def main() -> None:
        with mt.mission_run("m"):
            source = numbers()
            for _ in range(3):
                await asyncio.create_task(take(source))
            assert [n async for n in source] == []

    asyncio.run(main())
    made = [(f"made {n}", "numbers") for n in range(3)]
    assert [e for e in events(journal()) if e[1]] == made
    assert events(journal()).count(("taken", None)) == 3


def test_a_hundred_concurrent_runs_never_cross(journal: Journal) -> None:
    """A hundred runs at once, in tasks that use carried threads, keep their events to themselves."""

    async def agent(number: int, pool: ThreadPoolExecutor) -> None:
        with mt.mission_run(f"mission {number}"), mt.plan_step(f"step {number}"):
            for turn in range(3):
                await asyncio.sleep(0)
                note(f"{number} {turn}")
                await asyncio.get_running_loop().run_in_executor(pool, mt.carry(note), f"{number} thread {turn}")

    async def main() -> None:
        with ThreadPoolExecutor(4) as pool:
            await asyncio.gather(*(agent(number, pool) for number in range(100)))

    asyncio.run(main())
    runs: dict[str, list[tuple[str, str | None]]] = {}
    current = ""
    for fact in journal():  # one journal after the other
        if isinstance(fact, facts.RunOpened):
            current = fact.mission.name.split()[1]
        runs.setdefault(current, []).extend(events([fact]))
    assert len(runs) == 100
    for number, found in runs.items():
        told = [(f"{number} {t}", f"step {number}") for t in range(3)]
        assert sorted(found) == sorted(told + [(f"{number} thread {t}", f"step {number}") for t in range(3)])


# ---- carry ----


def test_threads_lose_the_run_and_carry_keeps_it(journal: Journal) -> None:
    """A thread started plainly records nothing; one whose target is carried records in the step."""
    with mt.mission_run("m"), mt.plan_step("s"):
        for target in (note, mt.carry(note)):
            thread = threading.Thread(target=target, args=("plain" if target is note else "carried",))
            thread.start()
            thread.join()
    assert events(journal()) == [("carried", "s")]


def test_carry_serves_executors(journal: Journal) -> None:
    """`submit` and `map` with a carried callable record in the step, and leave the pool's threads clean."""
    with ThreadPoolExecutor(1) as pool:
        with mt.mission_run("m"), mt.plan_step("s"):
            assert pool.submit(mt.carry(note), "submitted").result() == "submitted"
            assert list(pool.map(mt.carry(note), ["a", "b"])) == ["a", "b"]
        assert pool.submit(_context.current).result() is None
        assert pool.submit(note, "after").result() == "after"
    assert events(journal()) == [("submitted", "s"), ("a", "s"), ("b", "s")]


def test_carry_outside_of_a_run_returns_the_callable() -> None:
    """Outside of a run there is nothing to carry."""
    assert mt.carry(note) is note


class Worker:
    """Has callables of every kind."""

    def method(self) -> str:
        return note("method")

    @classmethod
    def of_class(cls) -> str:
        return note("classmethod")

    @staticmethod
    def static() -> str:
        return note("staticmethod")

    def __call__(self) -> str:
        return note("object")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Worker().method, "method"),
        (lambda: Worker.of_class, "classmethod"),
        (lambda: Worker.static, "staticmethod"),
        (Worker, "object"),
        (lambda: functools.partial(note, "partial"), "partial"),
        (lambda: lambda: note("lambda"), "lambda"),
        (lambda: mt.carry(functools.partial(note, "twice")), "twice"),
    ],
)
def test_every_kind_of_callable_is_carried(make: Callable[[], Any], said: str, journal: Journal) -> None:
    """Methods, objects, partials and lambdas are carried; what they return comes back."""
    with mt.mission_run("m"), mt.plan_step("s"):
        carried = mt.carry(make())
    assert carried() == said
    assert events(journal()) == [(said, "s")]
    assert _context.current() is None


def test_classes_and_builtins_are_carried() -> None:
    """A class makes its object, and a function of C does its work, in the scope."""
    with mt.mission_run("m"):
        assert isinstance(mt.carry(Worker)(), Worker)
        assert mt.carry(len)("abc") == 3


is_coroutine_function = inspect.iscoroutinefunction if sys.version_info >= (3, 12) else asyncio.iscoroutinefunction


@pytest.mark.parametrize("make", [lambda function: function, functools.partial])
def test_a_carried_coroutine_function_stays_one(make: Callable[[Any], Any], journal: Journal) -> None:
    """A carried coroutine function is awaited in the scope, and known as a coroutine function."""

    async def speak(text: str) -> str:
        await asyncio.sleep(0)
        return note(text)

    with mt.mission_run("m"), mt.plan_step("s"):
        carried = mt.carry(make(speak))
    assert is_coroutine_function(carried)
    assert asyncio.run(carried("hello")) == "hello"
    assert events(journal()) == [("hello", "s")]


def test_carried_generators_run_in_the_scope_and_leak_nothing(journal: Journal) -> None:
    """The body of a carried generator records in the scope; between its items the consumer's own scope is current."""

    def items() -> Iterator[int]:
        note("first")
        yield 1
        note("second")

    async def aitems() -> AsyncIterator[int]:
        note("third")
        yield 1

    async def consume(source: AsyncIterator[int]) -> list[int]:
        return [n async for n in source]

    with mt.mission_run("m"), mt.plan_step("s"):
        carried, acarried = mt.carry(items), mt.carry(aitems)
    source = carried()
    assert next(source) == 1
    assert _context.current() is None
    assert list(source) == []
    assert asyncio.run(consume(acarried())) == [1]
    assert events(journal()) == [("first", "s"), ("second", "s"), ("third", "s")]


def test_a_carried_callable_shows_its_function() -> None:
    """Name, documentation, attributes and the function itself are at hand; copies are the same object."""

    def work() -> None:
        """Work."""

    work.mark = 7  # type: ignore[attr-defined]
    with mt.mission_run("m"):
        carried: Any = mt.carry(work)
    assert (carried.__name__, carried.__doc__, carried.mark, carried.__wrapped__) == ("work", "Work.", 7, work)
    assert copy.copy(carried) is copy.deepcopy(carried) is carried
    with pytest.raises(AttributeError):
        _ = carried.absent


def test_carry_leaves_the_scope_of_a_caller_that_is_in_a_run_itself(journal: Journal) -> None:
    """A callable carried from one run and called in another records in the first, and the second goes on after it."""
    with mt.mission_run("first"):
        carried = mt.carry(note)
        with mt.mission_run("second"):
            carried("to the first")
            note("to the second")
    found = {f.mission.name: f.key for f in journal() if isinstance(f, facts.RunOpened)}
    keys = [
        msgspec.json.decode(f.body)["idempotency_key"].split(".")[0] for f in journal() if isinstance(f, facts.Event)
    ]
    said = dict(zip([e[0] for e in events(journal())], keys, strict=True))
    assert (said["to the first"], said["to the second"]) == (found["first"], found["second"])


def test_an_error_passes_through_a_carried_callable() -> None:
    """What the callable raises reaches the caller, and the scope is restored."""
    error = ValueError("no")

    def fail() -> None:
        raise error

    with mt.mission_run("m"):
        carried = mt.carry(fail)
    with pytest.raises(ValueError, match="no") as caught:
        carried()
    assert caught.value is error
    assert _context.current() is None


def test_a_pickled_carried_callable_finds_its_run(journal: Journal) -> None:
    """Pickled and unpickled, a carried callable records in its run and step, in this process too, wherever it goes."""
    with mt.mission_run("m"), mt.plan_step("s"):
        again = pickle.loads(pickle.dumps(mt.carry(note)))
        assert again("pickled") == "pickled"

        def once_more() -> str:
            twice: Callable[[str], str] = pickle.loads(pickle.dumps(again))
            return twice("twice")

        assert contextvars.Context().run(once_more) == "twice"
    assert events(journal()) == [("pickled", "s"), ("twice", "s")]


def test_cloudpickle_keeps_the_run_of_a_function_of_main(journal: Journal, tmp_path: Path) -> None:
    """Cloudpickle carries the binding of a function defined in `__main__`, by value, to another process."""
    pytest.importorskip("cloudpickle")
    target = tmp_path / "carried.bin"
    python(
        f"""
        import subprocess, sys, cloudpickle, mission_tracer as mt

        def work(number):
            mt.log_event(f"worked {{number}}")
            return number

        with mt.mission_run("m"), mt.plan_step("s"):
            with open({str(target)!r}, "wb") as file:
                file.write(cloudpickle.dumps(mt.carry(work)))
            code = "import pickle, sys; assert pickle.load(open(sys.argv[1], 'rb'))(3) == 3"
            subprocess.run([sys.executable, "-c", code, {str(target)!r}], check=True)
        """,
        MISSION_TRACER_LOG_LEVEL="error",
    )
    assert events(journal()) == [("worked 3", "s")]


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(set(multiprocessing.get_all_start_methods())))
def test_process_pools_take_part_by_carry(method: str, journal: Journal) -> None:
    """A process pool of any kind runs a carried callable in the run, in the same journal."""
    context = multiprocessing.get_context(method)
    with mt.mission_run("m"), mt.plan_step("s"), ProcessPoolExecutor(2, mp_context=context) as pool:
        assert list(pool.map(mt.carry(note), ["a", "b", "c"])) == ["a", "b", "c"]
    assert sorted(events(journal())) == [("a", "s"), ("b", "s"), ("c", "s")]


def test_only_callables_are_carried() -> None:
    """A value is refused at once, in a run and outside of one: perhaps the function was called by mistake."""
    with pytest.raises(TypeError, match="what is carried must be callable, not int"):
        mt.carry(5)  # type: ignore[type-var]
    with mt.mission_run("m"), pytest.raises(TypeError, match="not NoneType"):
        mt.carry(None)  # type: ignore[type-var]


# ---- inject and continue_run ----


def test_inject_outside_of_a_run_writes_nothing() -> None:
    """Without a run there is nothing to write, and nothing is made."""
    carrier: dict[str, str] = {}
    assert mt.inject() == {}
    assert mt.inject(carrier) is carrier
    assert carrier == {}


def test_inject_names_the_key_after_the_carrier(monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers get `mission-run`; the environment, or a copy of it, gets `MISSION_TRACER_PARENT`."""
    monkeypatch.setenv("MISSION_TRACER_PARENT", "overwritten")
    headers = {"Accept": "*/*", "path": "/"}
    with mt.mission_run("m"):
        assert list(mt.inject()) == ["mission-run"]
        assert mt.inject(headers) is headers
        assert list(headers) == ["Accept", "path", "mission-run"]
        assert mt.inject(os.environ) is os.environ
        assert list(mt.inject({"PATH": "/bin"})) == ["PATH", "MISSION_TRACER_PARENT"]
        assert headers["mission-run"] == os.environ["MISSION_TRACER_PARENT"] == mt.inject()["mission-run"]
        assert headers["mission-run"].isascii()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: {"mission-run": text},
        lambda text: {"Mission-Run": text},
        lambda text: {"HTTP_MISSION_RUN": text, "MISSION_TRACER_PARENT": "key=other"},
        lambda text: {"MISSION_TRACER_PARENT": text},
        lambda text: [(b"host", b"x"), (b"mission-run", text.encode())],
        lambda text: {b"mission-run": text.encode()},
    ],
)
def test_continue_run_reads_any_carrier(wrap: Callable[[str], Any], journal: Journal) -> None:
    """Headers in any case, WSGI's and ASGI's forms and the environment's name are read; the header is strongest."""
    with mt.mission_run("Waschen & Bügeln") as run, mt.plan_step("s"):
        carrier = wrap(mt.inject()["mission-run"])
    with mt.continue_run(carrier) as joined:
        assert joined is run
        assert mt.current_step().id == "s"  # type: ignore[union-attr]
        note()
    assert _context.current() is None
    assert events(journal()) == [("noted", "s")]


@pytest.mark.parametrize("carrier", [{}, None, [], {"accept": "*/*"}, {"traceparent": "00-ab"}])
def test_a_carrier_without_a_run_changes_nothing(carrier: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """A carrier that names no run gives `None`, silently; what is under way stays under way."""
    with mt.continue_run(carrier) as run:
        assert run is None
    with mt.mission_run("m") as mine, mt.continue_run(carrier) as run:
        assert run is None
        assert mt.current_run() is mine
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "key=",
        "key=../../etc/passwd",
        "key=" + "a" * 65,
        "key=a%2Fb",
        "k" * 20_000,
        "&".join("a=b" for _ in range(50)),
    ],
)
def test_a_carrier_that_cannot_be_read_changes_nothing(
    text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is no text of ours gives `None` and one warning, even when strict; nothing is made of it on the disk."""
    mt.configure(strict=True)
    with mt.continue_run({"mission-run": text}) as run:
        assert run is None
    assert "names no run" in capfd.readouterr().err
    assert not (tmp_path / "state").exists()


def test_nothing_is_carried_when_recording_is_off(tmp_path: Path) -> None:
    """With `enabled` false nothing is written into carriers and nothing is joined."""
    mt.configure(enabled=False)
    with mt.mission_run("m"):
        assert mt.inject() == {}
        assert mt.carry(note) is note
    with mt.continue_run({"mission-run": "key=abc"}) as run:
        assert run is None
    assert not (tmp_path / "state").exists()


def test_a_broken_carrier_does_not_hurt() -> None:
    """A carrier whose own code raises is our trouble, not the program's."""
    mt.configure(log_level="off")

    class Broken(dict[str, str]):
        def update(self, *args: Any, **kwargs: Any) -> None:
            raise RuntimeError("broken")

        def items(self) -> Any:
            raise RuntimeError("broken")

    with mt.mission_run("m"):
        assert mt.inject(Broken()) == {}
    with mt.continue_run(Broken()) as run:
        assert run is None


def test_blocks_of_one_run_at_once_share_its_journal(tmp_path: Path, journal: Journal) -> None:
    """Many threads that continue one run take part in it at once; the last one to leave lets go of the journal."""
    text = elsewhere(tmp_path / "state", "with mt.mission_run('m'), mt.plan_step('s')")
    runs: set[Any] = set()
    barrier = threading.Barrier(8)

    def serve(number: int) -> None:
        with mt.continue_run({"mission-run": text}) as run:
            runs.add(run)
            barrier.wait()
            note(f"request {number}")
            assert run is not None
            assert run.stream is not None
            assert run.stream.journal.is_open

    threads = [threading.Thread(target=serve, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 1
    [run] = runs
    assert not run.stream.journal.is_open
    assert sorted(events(journal())) == [(f"request {n}", "s") for n in range(8)]


def elsewhere(state: Path, scope: str, **environ: str) -> str:
    """Begin and end a run in another process; return what it put into headers."""
    return python(
        f"import mission_tracer as mt\n{scope}:\n    print(mt.inject()['mission-run'], end='')",
        **{"MISSION_TRACER_LOG_LEVEL": "error", "MISSION_TRACER_DIR": str(state), **environ},
    )


def test_steps_of_a_joined_run_get_ids_of_their_own(tmp_path: Path, journal: Journal) -> None:
    """A step entered by another process of this machine under a name in use becomes that name's next."""
    text = elsewhere(tmp_path / "state", "with mt.mission_run('m'), mt.plan_step('s')")
    for _ in range(2):
        with mt.continue_run({"mission-run": text}), mt.plan_step("s"):
            note()
    entered = [(f.step_id, f.parent_step_id) for f in journal() if isinstance(f, facts.StepEntered)]
    assert entered == [("s", None), ("s-2", "s"), ("s-3", "s")]


def test_a_run_in_memory_is_joined_again_and_again(api: Any) -> None:
    """With `durability` memory, blocks of one run one after the other all arrive."""
    text = elsewhere(
        Path("unused"),
        "with mt.mission_run('m')",
        TELNYX_API_KEY="K",
        TELNYX_BASE_URL=api.base_url,
        MISSION_TRACER_DURABILITY="memory",
    )
    mt.configure(api_key="K", base_url=api.base_url, durability="memory", strict=True)
    for number in range(3):
        with mt.continue_run({"mission-run": text}):
            note(f"block {number}")
    assert mt.flush(20)
    assert [e.summary for e in api.only_run()["events"]] == ["block 0", "block 1", "block 2"]


def test_a_block_that_is_collected_while_another_begins_ends() -> None:
    """The garbage collector may end a `continue_run` block while runs opened elsewhere are looked up."""

    def part(headers: dict[str, str]) -> Iterator[int]:
        with mt.continue_run(headers):
            yield 1

    with mt.mission_run("m"):
        left = part(mt.inject())
    next(left)
    with _shares.lock:
        del left
        gc.collect()


SERVER = """
import http.server, mission_tracer as mt

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with mt.continue_run(self.headers) as run, mt.plan_step("serve"):
            mt.log_event("served")
        mt.flush(20)
        self.send_response(200)
        self.end_headers()
        self.wfile.write((run.key if run else "").encode())
    def log_message(self, *args): pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.mark.parametrize("machine", ["same", "other"])
def test_a_run_continues_behind_http(machine: str, api: Any, tmp_path: Path) -> None:
    """A server in another process continues the run its request's headers name; elsewhere by its own journal."""
    state = tmp_path / ("state" if machine == "same" else "other")
    environ = {
        **os.environ,
        "TELNYX_API_KEY": "K",
        "TELNYX_BASE_URL": api.base_url,
        "MISSION_TRACER_DIR": str(state),
        "MISSION_TRACER_SETTLE": "0.2",
    }
    server = subprocess.Popen([sys.executable, "-c", SERVER], env=environ, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/"
        with mt.mission_run("m") as run:
            with mt.plan_step("ask"):
                for _ in range(2):
                    request = urllib.request.Request(url, headers=mt.inject())
                    with urllib.request.urlopen(request, timeout=60) as answer:
                        assert answer.read().decode() == run.key
            assert mt.flush(30)
        with urllib.request.urlopen(url, timeout=60) as answer:  # no header, no run
            assert answer.read() == b""
    finally:
        server.terminate()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()
    assert mt.flush(30)
    found = api.only_run()
    assert [(s.step_id, s.parent_step_id, s.status) for s in found["steps"]] == [
        ("ask", None, "completed"),
        ("serve", "ask", "completed"),
        ("serve-2", "ask", "completed"),
    ]
    assert found["run"].status == "succeeded"
    assert sum(e.summary == "served" for e in found["events"]) == 2
    journals = [p for p in tmp_path.rglob("*.jsonl") if not p.name.endswith(".sent.jsonl")]
    assert len(journals) == (1 if machine == "same" else 2)
    assert {p.name for p in journals} == {f"{run.key}.jsonl"}


# ---- the environment ----

CHILD = """
import mission_tracer as mt

@mt.plan_step
def child_step():
    mt.log_event("from the child")

child_step()
run = mt.current_run()
print(run.key, end="")
"""


def test_a_child_of_this_machine_joins_by_its_environment(journal: Journal, tmp_path: Path) -> None:
    """A child process started with the variable records in the same journal, under the step it was started in."""
    with mt.mission_run("m") as run, mt.plan_step("s"):
        assert (
            python(CHILD, MISSION_TRACER_PARENT=mt.inject()["mission-run"], MISSION_TRACER_LOG_LEVEL="error") == run.key
        )
        assert python(CHILD, **mt.inject(), MISSION_TRACER_LOG_LEVEL="error") == run.key
    assert events(journal()) == [("from the child", "child_step"), ("from the child", "child_step-2")]
    assert len([p for p in (tmp_path / "state" / "runs").iterdir() if p.suffix == ".jsonl"]) == 1
    assert sum(isinstance(f, facts.RunClosed) for f in journal()) == 1


@pytest.mark.parametrize("known", [True, False])
def test_a_child_of_another_machine_joins_the_same_remote_run(known: bool, api: Any, tmp_path: Path) -> None:
    """Elsewhere the child keeps its own journal and finds the run by its ids, or, without them, by its key."""
    environ = {
        "TELNYX_API_KEY": "K",
        "TELNYX_BASE_URL": api.base_url,
        "MISSION_TRACER_DIR": str(tmp_path / "other"),
        "MISSION_TRACER_MAX_BACKOFF": "0.2",
    }
    if not known:
        mt.configure(api_key="K", base_url=api.base_url, sender="off", strict=True)
    with mt.mission_run("m") as run, mt.plan_step("s"):
        if known:
            assert run.wait_bound(20)
        text = mt.inject()["mission-run"]
        assert ("run_id=" in text) is known
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD + "mt.flush(40)"], env={**os.environ, **environ, "MISSION_TRACER_PARENT": text}
        )
        if not known:
            until(lambda: bool(list((tmp_path / "other" / "runs").glob("*.jsonl"))))
            mt.configure(api_key="K", base_url=api.base_url, strict=True)
            recorder.default().start()
        assert process.wait(60) == 0
    assert mt.flush(30)
    found = api.only_run()
    assert [(s.step_id, s.parent_step_id, s.status) for s in found["steps"]] == [
        ("s", None, "completed"),
        ("child_step", "s", "completed"),
    ]
    assert [e.summary for e in found["events"] if e.type == "custom"] == ["from the child"]
    assert found["run"].status == "succeeded"


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_mission_given_by_its_id_is_found_elsewhere_by_it() -> None:
    """The id that a mission was given with travels, although the server said nothing yet."""
    with mt.mission_run("m", mission_id="given-id"):
        assert "mission_id=given-id" in mt.inject()["mission-run"]


def test_a_child_that_configures_itself_joins_where_it_says(tmp_path: Path) -> None:
    """A child's own `configure` decides where it records, although it joined by its environment."""
    text = elsewhere(tmp_path / "state", "with mt.mission_run('m')")
    said = python(
        f"""
        import mission_tracer as mt
        mt.configure(dir={str(tmp_path / "mine")!r})
        mt.log_event("first")
        mt.configure(dir={str(tmp_path / "later")!r})
        mt.log_event("second")
        print(mt.current_run().key, end="")
        """,
        MISSION_TRACER_PARENT=text,
        MISSION_TRACER_DIR=str(tmp_path / "unused"),
        MISSION_TRACER_LOG_LEVEL="error",
    )
    for place, word in (("mine", "first"), ("later", "second")):
        lines = (tmp_path / place / "runs" / f"{said}.jsonl").read_bytes().splitlines()
        assert [json.loads(line)["fact"] for line in lines] == ["run_joined", "event"]
        assert word.encode() in lines[1]
    assert not (tmp_path / "unused").exists()


def test_importing_alone_joins_nothing(tmp_path: Path) -> None:
    """A child that only imports us makes no file and opens no run, whatever its environment says."""
    python("import mission_tracer", MISSION_TRACER_PARENT="key=abc", MISSION_TRACER_DIR=str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()


def test_a_child_with_a_broken_variable_works_as_without() -> None:
    """A variable that names no run leaves the child without one."""
    said = python(
        "import mission_tracer as mt; mt.log_event('x'); print(mt.current_run())",
        MISSION_TRACER_PARENT="key=../x",
        MISSION_TRACER_LOG_LEVEL="off",
    )
    assert said.strip() == "None"


def test_a_run_of_a_child_names_the_run_it_was_started_in(journal: Journal) -> None:
    """A child that opens a run of its own links it to its parent's."""
    with mt.mission_run("outer") as run:
        python(
            "import mission_tracer as mt\nwith mt.mission_run('inner'): pass",
            MISSION_TRACER_PARENT=mt.inject()["mission-run"],
            MISSION_TRACER_LOG_LEVEL="error",
        )
    inner = [f for f in journal() if isinstance(f, facts.RunOpened) and f.mission.name == "inner"]
    assert inner[0].metadata["mission_tracer"]["parent_run"] == {"key": run.key, "mission": "outer"}
    assert [text for text, _ in events(journal())] == [f"Started run {inner[0].key} of 'inner'"]


def test_a_forked_child_goes_on_in_its_block(journal: Journal) -> None:
    """A child forked inside of a continued run records in it."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    with mt.mission_run("m"):
        text = mt.inject()
        with mt.continue_run(text), mt.plan_step("s"):
            context = multiprocessing.get_context("fork")
            child = context.Process(target=note, args=("forked",))
            child.start()
            child.join()
            assert child.exitcode == 0
    assert events(journal()) == [("forked", "s")]


OTHER = """
import os, pathlib, sys, time
import mission_tracer as mt

with mt.continue_run({"mission-run": sys.argv[1]}) as run:
    mt.log_event("from the other")
print("ready", flush=True)
away = pathlib.Path(os.environ["MISSION_TRACER_DIR"]) / "delivered" / f"{run.key}.sent.jsonl"
deadline = time.monotonic() + 20
while not away.exists() and time.monotonic() < deadline:
    time.sleep(0.01)
time.sleep(2.5)  # a sender at rest looks at its runs after two
"""


@pytest.mark.slow
def test_a_run_stays_put_away_while_a_process_that_took_part_lives(api: Any, tmp_path: Path) -> None:
    """A process that took part in a run that another one delivered leaves its files where they are."""
    environ = {**os.environ, "TELNYX_API_KEY": "K", "TELNYX_BASE_URL": api.base_url}
    with mt.mission_run("m") as run:
        command = [sys.executable, "-c", OTHER, mt.inject()["mission-run"]]
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
    assert mt.flush(30)
    process.communicate()
    assert not list((tmp_path / "state" / "runs").glob("*.jsonl"))
    assert sorted(p.name for p in (tmp_path / "state" / "delivered").glob("*.jsonl")) == [
        f"{run.key}.jsonl",
        f"{run.key}.sent.jsonl",
    ]


FORKS = """
import os, sys
import mission_tracer as mt

ended, told = os.pipe()

@mt.tool_call
def tool():
    child = os.fork()
    if child == 0:
        {child}
    {parent}
    mt.log_event("goes on")

with mt.mission_run("m") as run, mt.plan_step("s"):
    run.succeed("by hand")
    tool()
"""


def fork(place: Path, child: str, parent: str) -> list[facts.Fact]:
    """Run a program that forks inside of its blocks, until both processes have ended; return what they recorded."""
    environ = {"MISSION_TRACER_DIR": str(place), "MISSION_TRACER_SENDER": "off", "MISSION_TRACER_LOG_LEVEL": "error"}
    words = [sys.executable, "-c", FORKS.format(child=child, parent=parent)]
    done = subprocess.run(words, env={**os.environ, **environ}, stdout=-1, timeout=60, check=False)
    assert done.returncode == 0
    directory = Directory(place)
    [key] = directory.keys()
    return [fact for line in iterate_lines(directory.journal(key)) if (fact := facts.read(line.content)) is not None]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("child", ["raise ValueError('in the child')", "sys.exit(0)", "sys.exit(3)", "return 'child'"])
def test_a_forked_child_that_leaves_a_block_ends_nothing(tmp_path: Path, child: str) -> None:
    """A child that unwinds through its parent's blocks ends neither the run, nor the step, nor the call."""
    found = fork(tmp_path, child, "os.waitpid(child, 0)")
    assert [fact.summary for fact in found if isinstance(fact, facts.RunClosed)] == ["by hand"]
    assert [fact.status for fact in found if isinstance(fact, facts.StepLeft)] == ["completed"]
    assert [text for text, _ in events(found)] == ["tool()", "goes on", "tool returned"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_whose_parent_is_gone_ends_what_it_began(tmp_path: Path) -> None:
    """A program that becomes a daemon inside of a run ends it in the child that goes on."""
    found = fork(tmp_path, "os.close(told); os.read(ended, 1); return", "os._exit(0)")
    assert [text for text, _ in events(found)] == ["tool()", "tool returned"]
    assert [fact.status for fact in found if isinstance(fact, facts.StepLeft)] == ["completed"]
    assert [fact.summary for fact in found if isinstance(fact, facts.RunClosed)] == ["by hand"]


@pytest.mark.parametrize("share", ["carry", "continue_run"])
def test_what_is_left_open_in_a_continued_run_is_left_with_it(share: str, journal: Journal) -> None:
    """A generator that stays suspended inside of a step does not keep a pool's thread in the run."""

    def across() -> Iterator[int]:
        with mt.plan_step("across"):
            yield 1

    suspended = []

    def job(text: dict[str, str]) -> None:
        if share == "carry":
            suspended.append(across())
            next(suspended[-1])
            return
        with mt.continue_run(text):
            suspended.append(across())
            next(suspended[-1])

    with ThreadPoolExecutor(1) as pool:
        with mt.mission_run("m"):
            text = mt.inject()
            pool.submit(mt.carry(job) if share == "carry" else job, text).result()
        assert pool.submit(mt.current_run).result() is None
    assert len(suspended) == 1


def test_the_scope_of_asgi_is_a_carrier(journal: Journal) -> None:
    """The header is found in what ASGI calls the scope: among the pairs of bytes under its `headers`."""
    with mt.mission_run("m") as run:
        text = mt.inject()["mission-run"].encode()
        scope = {"type": "http", "path": "/", "headers": [(b"host", b"x"), (b"mission-run", text)]}
        with mt.continue_run(scope) as continued:
            assert continued is not None
            assert continued.key == run.key
        with mt.continue_run({"type": "http", "headers": [(b"host", b"x")]}) as continued:
            assert continued is None
