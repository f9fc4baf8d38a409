"""The current scope."""

from __future__ import annotations

import asyncio
import threading

import mission_tracer as mt
from mission_tracer import _context, mission_run, plan_step


def test_the_scope_is_what_is_open() -> None:
    """The current run and step are those of the innermost open blocks, and the ones before come back."""
    assert (mt.current_run(), mt.current_step()) == (None, None)
    with mission_run("m") as run:
        assert (mt.current_run(), mt.current_step()) == (run, None)
        with plan_step("s") as step:
            assert (mt.current_run(), mt.current_step()) == (run, step)
        assert mt.current_step() is None
    assert mt.current_run() is None


def test_what_was_left_open_inside_is_left_too() -> None:
    """Whatever is open inside a step when that one ends, a run of another mission included, is not current after it."""
    with mission_run("m") as run:
        with plan_step("s") as step:
            inside = mission_run("inside").__enter__()
            plan_step("further in").__enter__()
            assert inside.parent is run
            assert inside.outer is step
        assert mt.current_run() is run
        assert mt.current_step() is None


def test_tasks_inherit_and_do_not_cross() -> None:
    """A task sees the scope it was made in; what it opens is its own."""

    async def child(n: int) -> str:
        with plan_step(f"s{n}") as step:
            await asyncio.sleep(0)
            assert mt.current_step() is step
            return step.run.key

    async def main() -> None:
        async with mission_run("m") as run:
            assert set(await asyncio.gather(*(child(n) for n in range(20)))) == {run.key}
            assert mt.current_step() is None

    asyncio.run(main())


def test_threads_begin_without_a_scope() -> None:
    """A plain thread has no scope of its own making; `carry` gives it one."""
    seen: list[object] = []
    with mission_run("m") as run:
        for target in (lambda: seen.append(mt.current_run()), mt.carry(lambda: seen.append(mt.current_run()))):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert seen == [None, run]


def test_one_block_object_serves_many_tasks() -> None:
    """One block object that is open in several tasks at once ends each entry with its own task's."""
    block = plan_step("shared")

    async def use(after: asyncio.Event, done: asyncio.Event) -> str:
        async with block as step:
            await after.wait()
            assert mt.current_step() is step
            name = step.id
        done.set()
        return name

    async def main() -> list[str]:
        ended = [asyncio.Event() for _ in range(6)]
        ended[5].set()  # the last to begin is the first to end
        async with mission_run("m"):
            return list(await asyncio.gather(*(use(ended[n + 1], ended[n]) for n in range(5))))

    assert asyncio.run(main()) == ["shared", "shared-2", "shared-3", "shared-4", "shared-5"]


def test_silence_marks_our_own_requests() -> None:
    """Inside `silence` the quiet mark is set, and afterwards it is not."""
    with _context.silence():
        assert _context.quiet.get()
    assert not _context.quiet.get()
