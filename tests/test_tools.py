"""Tool calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import pytest

import mission_tracer as mt
from mission_tracer import facts, mission_run, plan_step, recorder, tool_call

Journal = Callable[[], list[facts.Fact]]


def events(found: list[facts.Fact]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(fact.body) for fact in found if isinstance(fact, facts.Event)]


def test_a_call_and_its_result_share_an_id(journal: Journal) -> None:
    """`tool_call` and `tool_result` of one call carry one `call_id`, and another call another."""

    @tool_call("add")
    def plus(a: int, b: int) -> int:
        return a + b

    with mission_run("m"):
        plus(1, b=2)
        plus(3, 4)
    found = events(journal())
    assert [event["type"] for event in found] == ["tool_call", "tool_result"] * 2
    assert found[0]["payload"]["arguments"] == {"a": 1, "b": 2}
    assert found[1]["payload"]["result"] == 3
    ids = [event["payload"]["call_id"] for event in found]
    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert found[0]["summary"] == "add(a=1, b=2)"


def test_a_failing_tool_logs_an_error(journal: Journal) -> None:
    """A tool that raises logs `error` with its name, call and traceback instead of a result."""

    @tool_call
    def lookup(who: str) -> None:
        raise LookupError(who)

    with mission_run("m"), plan_step("s"), pytest.raises(LookupError):
        lookup("joe")
    call, error = events(journal())
    assert (error["type"], error["step_id"]) == ("error", "s")
    assert error["payload"]["call_id"] == call["payload"]["call_id"]
    assert error["payload"]["tool"] == "lookup"
    assert "raise LookupError(who)" in error["payload"]["error"]["traceback"]


def test_the_same_error_again_is_logged_again(journal: Journal) -> None:
    """A tool that fails twice with two exceptions logs two errors, even from the same line."""

    @tool_call
    def lookup() -> None:
        raise LookupError("gone")

    with mission_run("m"):
        for _ in range(2):
            with pytest.raises(LookupError):
                lookup()
            with mt.tool_call("other"):
                pass
    assert [event["type"] for event in events(journal())].count("error") == 2


def test_a_block_says_its_result(journal: Journal) -> None:
    """A `with` block gives arguments and result by hand."""
    with mission_run("m"), tool_call("search", arguments={"q": "x"}) as tool:
        tool.result([1, 2])
    call, result = events(journal())
    assert call["payload"]["arguments"] == {"q": "x"}
    assert result["payload"]["result"] == [1, 2]


@pytest.mark.parametrize(
    ("capture", "args", "result"),
    [(("args", "result"), True, True), (("args",), True, False), (("result",), False, True), ((), False, False)],
)
def test_each_decorator_says_what_it_keeps(capture: Any, args: Any, result: Any, journal: Journal) -> None:
    """`capture=` keeps arguments, results, both or nothing of this tool."""

    @tool_call(capture=capture)
    def echo(word: str) -> str:
        return word + word

    with mission_run("m"):
        echo("tick")
    call, end = events(journal())
    assert ("word" in call["payload"]["arguments"]) is args
    assert ("result" in end["payload"]) is result


@pytest.mark.parametrize("wrong", ["args", ("everything",)])
def test_a_wrong_capture_is_refused(wrong: Any) -> None:
    """`capture=` names `args` and `result` in a tuple; anything else is an error at the decorator."""
    with pytest.raises((TypeError, ValueError), match="capture"):
        tool_call(capture=wrong)


def test_a_stream_is_reduced_to_its_result(journal: Journal) -> None:
    """`reduce=` makes a generator's result from its items; the consumer gets them as they come."""

    @tool_call(reduce="".join)
    def words() -> Iterator[str]:
        yield from ("a", "b", "c")

    with mission_run("m"):
        assert list(words()) == ["a", "b", "c"]
    assert events(journal())[-1]["payload"]["result"] == "abc"


def test_an_abandoned_stream_keeps_what_came(journal: Journal) -> None:
    """A consumer that stops early leaves a result of the items it took."""

    @tool_call(reduce="".join)
    async def words() -> AsyncIterator[str]:
        for word in ("a", "b", "c"):
            yield word

    async def main() -> None:
        stream = words()
        async with mission_run("m"):
            async for word in stream:
                if word == "b":
                    break
            await stream.aclose()  # type: ignore[attr-defined]

    import asyncio

    asyncio.run(main())
    last = events(journal())[-1]
    assert (last["type"], last["payload"]["result"], last["payload"]["abandoned"]) == ("tool_result", "ab", True)


def test_a_reduce_that_fails_loses_only_itself(journal: Journal) -> None:
    """An error in `reduce` is the recorded result; the stream and its consumer are untouched."""

    @tool_call(reduce="".join)
    def numbers() -> Iterator[int]:
        yield 1

    with mission_run("m"):
        assert list(numbers()) == [1]
    assert events(journal())[-1]["payload"]["result"] == "reduce failed: TypeError"


def test_what_is_no_generator_is_not_reduced(journal: Journal) -> None:
    """`reduce=` is for the items of a generator: what a function returns, or a block says, stays as it is."""

    @tool_call(reduce="".join)
    def model(*, stream: bool) -> Any:
        return iter(["a", "b"]) if stream else "whole text"

    @tool_call(reduce=list)
    def nothing() -> Iterator[str]:
        yield from ()

    with mission_run("m"):
        assert model(stream=False) == "whole text"
        with tool_call("block", reduce=list) as call:
            call.result({"a": 1})
        assert list(nothing()) == []
    results = [each["payload"]["result"] for each in events(journal()) if each["type"] == "tool_result"]
    assert results == ["whole text", {"a": 1}, []]


def test_a_call_ends_though_its_error_is_known(journal: Journal) -> None:
    """An error passes through two tools: it is logged once, with the inner call, and the outer one has its result."""

    @tool_call
    def inner() -> None:
        raise ValueError("deep")

    @tool_call
    def outer() -> None:
        inner()

    with mission_run("m"), pytest.raises(ValueError, match="deep"):
        outer()
    outer_call, inner_call, error, result = [(each["type"], each["payload"]) for each in events(journal())]
    assert (error[0], error[1]["call_id"]) == ("error", inner_call[1]["call_id"])
    assert (result[0], result[1]["call_id"]) == ("tool_result", outer_call[1]["call_id"])
    assert (result[1]["raised"], "duration_ms" in result[1]) == ("ValueError: deep", True)


@pytest.mark.parametrize(
    ("mode", "options", "kept"),
    [
        ("full", {}, ({"number": 5}, "secret words")),
        ("full", {"capture": ("result",)}, ({}, "secret words")),
        ("full", {"capture": ()}, ({}, None)),
        ("names", {}, ({"number": "int"}, "str")),
        ("off", {}, ({}, None)),
    ],
)
def test_a_block_keeps_what_a_call_would(mode: str, options: Any, kept: Any, journal: Journal) -> None:
    """What a block is given as arguments and result is kept as far as its `capture` and the setting allow."""
    recorder.configure(capture=mode, sender="off", log_level="off")
    with mission_run("m"), tool_call("dial", arguments={"number": 5}, **options) as call:
        call.result("secret words")
    called, returned = (each["payload"] for each in events(journal()))
    assert (called["arguments"], returned.get("result")) == kept
