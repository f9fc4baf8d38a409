"""Decorated asynchronous generators: everything a consumer can do to one does what it does to the bare one."""

from __future__ import annotations

import asyncio
import inspect
import types
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from .conftest import Decorate
from .seeing import agree

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
