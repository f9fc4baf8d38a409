"""Decorated asynchronous generators: everything a consumer can do to one does what it does to the bare one."""

from __future__ import annotations

import asyncio
import gc
import inspect
import types
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import facts

from .conftest import Decorate
from .seeing import agree
from .test_generators import ENDS, ends, loud

seen: ContextVar[str] = ContextVar("seen", default="unset")


def talking(d: Decorate) -> Any:
    """Make a generator that notes what is sent and thrown, and what happens at its end."""

    @d
    async def subject(log: list[Any]) -> Any:
        try:
            for item in range(5):
                await asyncio.sleep(0)
                try:
                    log.append(("got", (yield item)))
                except ValueError as error:
                    log.append(("caught", error, error.__context__))
                    yield "after the error"
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    return subject


def see(use: Callable[[Any, list[Any]], Coroutine[Any, Any, Any]]) -> Callable[[Any], Any]:
    """Use a generator in some way; say what came of it and what the generator noted."""

    def look(target: Any) -> Any:
        log: list[Any] = []

        async def main() -> Any:
            try:
                return await use(target(log), log)
            except BaseException as error:
                return type(error), error.args, type(error.__cause__), type(error.__context__)

        came = asyncio.run(main())
        shown = [(entry[0], repr(entry[1])) if isinstance(entry, tuple) else entry for entry in log]
        return came, shown

    return look


def test_iterating(decorate: Decorate) -> None:
    """`async for` gives all items, in order, and ends."""

    async def use(generator: Any, log: list[Any]) -> Any:
        return [item async for item in generator]

    assert agree(talking, decorate, see(use))[0] == list(range(5))


def test_asend(decorate: Decorate) -> None:
    """`asend` hands a value in and takes the next item out."""

    async def use(generator: Any, log: list[Any]) -> Any:
        return [await generator.asend(value) for value in (None, "a", None, ["b"])]

    assert agree(talking, decorate, see(use))[0] == [0, 1, 2, 3]


def test_asend_before_the_start(decorate: Decorate) -> None:
    """Sending a value to a generator that has not begun is refused."""

    async def use(generator: Any, log: list[Any]) -> Any:
        return await generator.asend("early")

    assert agree(talking, decorate, see(use))[0][0] is TypeError


def test_athrow_that_is_handled(decorate: Decorate) -> None:
    """`athrow` raises inside, without a context of ours; what the generator then yields comes back."""

    async def use(generator: Any, log: list[Any]) -> Any:
        await generator.asend(None)
        came = await generator.athrow(ValueError("in"))
        return came, log[-1][2], await generator.asend(None)

    assert agree(talking, decorate, see(use))[0] == ("after the error", None, 1)


def test_athrow_that_is_not_handled(decorate: Decorate) -> None:
    """`athrow` of what the generator does not handle comes out as the very same exception, unchanged."""

    async def use(generator: Any, log: list[Any]) -> Any:
        await generator.asend(None)
        error = KeyError("in")
        with pytest.raises(KeyError) as caught:
            await generator.athrow(error)
        return caught.value is error, error.__context__, [item async for item in generator]

    assert agree(talking, decorate, see(use))[0] == (True, None, [])


def test_aclose(decorate: Decorate) -> None:
    """`aclose` runs the generator's clean-up, which may wait, once, and ends it."""

    async def use(generator: Any, log: list[Any]) -> Any:
        await generator.asend(None)
        await generator.aclose()
        await generator.aclose()
        return [item async for item in generator]

    assert agree(talking, decorate, see(use)) == ([], ["closed"])


def test_aclose_before_the_start(decorate: Decorate) -> None:
    """Closing a generator that has not begun runs none of its code."""

    async def use(generator: Any, log: list[Any]) -> Any:
        await generator.aclose()
        return [item async for item in generator]

    assert agree(talking, decorate, see(use)) == ([], [])


def test_aclose_that_is_ignored(decorate: Decorate) -> None:
    """A generator that yields when it is closed is told so by a `RuntimeError`."""

    def make(d: Decorate) -> Any:
        @d
        async def subject() -> Any:
            try:
                yield 1
            except GeneratorExit:
                yield 2

        return subject

    def look(target: Any) -> Any:
        async def main() -> None:
            generator = target()
            await generator.asend(None)
            with pytest.raises(RuntimeError, match="async generator ignored GeneratorExit"):
                await generator.aclose()

        asyncio.run(main())
        return True

    agree(make, decorate, look)


@pytest.mark.parametrize("stop", [StopIteration, StopAsyncIteration])
def test_stop_iteration_inside(decorate: Decorate, stop: type[Exception]) -> None:
    """`StopIteration` and `StopAsyncIteration` raised inside become a `RuntimeError`."""

    def make(d: Decorate) -> Any:
        @d
        async def subject() -> Any:
            yield 1
            raise stop("inside")

        return subject

    def look(target: Any) -> Any:
        async def main() -> Any:
            try:
                return [item async for item in target()]
            except RuntimeError as error:
                return str(error), repr(error.__cause__)

        return asyncio.run(main())

    agree(make, decorate, look)


def test_generator_object(decorate: Decorate) -> None:
    """A call returns a true asynchronous generator with the function's name."""

    async def use(generator: Any, log: list[Any]) -> Any:
        name = generator.__name__, generator.__qualname__, generator.ag_code.co_name
        return type(generator), name, inspect.isasyncgen(generator), generator.ag_running

    assert agree(talking, decorate, see(use))[0][0] is types.AsyncGeneratorType


def test_two_consumers_at_once(decorate: Decorate) -> None:
    """Asking for an item while another one is awaited is refused."""

    async def use(generator: Any, log: list[Any]) -> Any:
        first = asyncio.ensure_future(generator.__anext__())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="asynchronous generator is already running"):
            await generator.__anext__()
        return await first

    assert agree(talking, decorate, see(use))[0] == 0


def test_same_task(decorate: Decorate) -> None:
    """It runs in the task that asks for each item."""

    @decorate
    async def subject() -> Any:
        while True:
            await asyncio.sleep(0)
            yield asyncio.current_task()

    async def main() -> None:
        generator = subject()
        assert await generator.__anext__() is asyncio.current_task()
        other = asyncio.ensure_future(generator.__anext__())
        assert await other is other
        await generator.aclose()

    asyncio.run(main())


def test_context_variables(decorate: Decorate) -> None:
    """It sees what its consumer set, and what it sets is seen by its consumer."""

    @decorate
    async def subject() -> Any:
        before = seen.get()
        seen.set("by the generator")
        yield before
        yield seen.get()

    async def main() -> None:
        seen.set("by the consumer")
        generator = subject()
        assert await generator.__anext__() == "by the consumer"
        assert seen.get() == "by the generator"
        seen.set("again by the consumer")
        assert [item async for item in generator] == ["again by the consumer"]

    asyncio.run(main())


def test_the_scope_never_crosses_a_yield(recorded: Decorate) -> None:
    """Between two items the consumer's run and step are current; inside, the generator's own, also in its blocks."""

    @recorded
    async def subject() -> Any:
        mine = mt.current_run(), mt.current_step()
        await asyncio.sleep(0)
        yield 1
        assert (mt.current_run(), mt.current_step()) == mine
        async with mt.plan_step("block") as block:
            yield 2
            await asyncio.sleep(0)
            assert mt.current_step() is block
        assert (mt.current_run(), mt.current_step()) == mine

    async def main() -> None:
        outer = mt.current_run(), mt.current_step()
        async for _ in subject():
            assert (mt.current_run(), mt.current_step()) == outer
        assert (mt.current_run(), mt.current_step()) == outer

    asyncio.run(main())


def test_resumed_by_several_tasks(recorded: Decorate, journal: Callable[[], list[facts.Fact]]) -> None:
    """A generator that is handed from task to task keeps its scope and ends once."""

    @recorded
    async def subject() -> AsyncIterator[int]:
        mine = mt.current_run(), mt.current_step()
        for n in range(3):
            await asyncio.sleep(0)
            assert (mt.current_run(), mt.current_step()) == mine
            yield n

    async def main() -> None:
        generator: Any = subject()
        for n in range(3):
            assert await asyncio.ensure_future(generator.__anext__()) == n
        with pytest.raises(StopAsyncIteration):
            await asyncio.ensure_future(generator.__anext__())

    asyncio.run(main())
    assert len(ends(journal)) == 1


async def break_out(subject: Any) -> None:
    async for _ in subject():
        break


async def close_elsewhere(subject: Any) -> None:
    generator = subject()
    await generator.__anext__()
    await asyncio.ensure_future(generator.aclose())


async def collect(subject: Any) -> None:
    generator: Any = [subject()]
    generator.append(generator)
    await generator[0].__anext__()
    del generator
    gc.collect()
    await asyncio.sleep(0.01)


async def leave_open(subject: Any) -> None:
    held.append(subject())
    await held[0].__anext__()


async def cancel_the_consumer(subject: Any) -> None:
    async def consume() -> None:
        async with aclosing(subject()) as items:
            async for _ in items:
                await asyncio.sleep(60)

    task = asyncio.ensure_future(consume())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


held: list[Any] = []


@pytest.mark.parametrize("abandon", [break_out, close_elsewhere, collect, leave_open, cancel_the_consumer])
def test_abandoned(
    recorded: Decorate, journal: Callable[[], list[facts.Fact]], abandon: Callable[[Any], Coroutine[Any, Any, None]]
) -> None:
    """A generator whose consumer stops is closed once, in whatever task or at the loop's end, without a word."""
    closed: list[int] = []
    said: list[Any] = []

    @recorded
    async def subject() -> Any:
        try:
            yield 1
            yield 2
        finally:
            closed.append(1)
            await asyncio.sleep(0)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        await abandon(subject)

    with loud() as unraised, warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main())
        held.clear()
        gc.collect()
    assert closed == [1]
    assert said == []
    assert unraised == []
    assert len(ends(journal)) == 1
    assert ends(journal)[0] in ENDS


def test_cancelled_inside(decorate: Decorate) -> None:
    """Cancellation while the generator itself waits is raised inside it and comes out."""
    log: list[str] = []

    @decorate
    async def subject() -> Any:
        try:
            await asyncio.sleep(60)
            yield 1
        except asyncio.CancelledError:
            log.append("cancelled inside")
            raise

    async def main() -> None:
        task = asyncio.ensure_future(subject().__anext__())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert log == ["cancelled inside"]


def test_wrapped_by_asynccontextmanager(decorate: Decorate) -> None:
    """`contextlib.asynccontextmanager` and `contextmanager` take decorated generators."""
    from contextlib import asynccontextmanager, contextmanager

    @asynccontextmanager
    @decorate
    async def later() -> Any:
        try:
            yield 1
        except KeyError:
            log.append("later")

    @contextmanager
    @decorate
    def now() -> Any:
        try:
            yield 1
        except KeyError:
            log.append("now")

    log: list[str] = []

    async def main() -> None:
        async with later() as one:
            assert one == 1
            raise KeyError

    asyncio.run(main())
    with now() as one:
        assert one == 1
        raise KeyError
    assert log == ["later", "now"]
