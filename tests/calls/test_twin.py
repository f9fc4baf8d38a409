"""Twins of functions: the same face, the same place, and the arguments they tell."""

from __future__ import annotations

import inspect
import types
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mission_tracer._calls.twin import twin


class Silent:
    """A block that records nothing but what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def begin(self, function: Any, args: Any, kwargs: Any, *, bound: bool) -> None:
        self.told.append((args, kwargs, bound))


NAMES = ("a", "b", "c", "self", "block", "scope", "ä", "mission_tracer_block", "_mission_tracer_x", "call", "around")


@st.composite
def functions(draw: st.DrawFn) -> types.FunctionType:
    """Make a function of any parameters and kind."""
    names = draw(st.permutations(NAMES))
    counts = draw(st.tuples(*[st.integers(0, 2)] * 3))
    bare, plain, named = (names[sum(counts[:n]) : sum(counts[: n + 1])] for n in range(3))
    rest, more = draw(st.booleans()), draw(st.booleans())
    first = draw(st.integers(0, len(bare) + len(plain)))
    positional = [f"{name}={n}" if n >= first else name for n, name in enumerate([*bare, *plain])]
    parts = [*positional[: len(bare)], *(["/"] if bare else []), *positional[len(bare) :]]
    parts += ["*rest"] if rest else ["*"] if named else []
    parts += [f"{name}=-1" if draw(st.booleans()) else name for name in named] + (["**more"] if more else [])
    kind, body = draw(
        st.sampled_from([("def", "return"), ("async def", "return"), ("def", "yield"), ("async def", "yield")])
    )
    space: dict[str, Any] = {"__name__": __name__}
    exec(f"{kind} subject({', '.join(parts)}):\n    {body} locals()", space)
    return space["subject"]  # type: ignore[no-any-return]


@given(functions())
@settings(max_examples=100, deadline=None)
def test_a_twin_has_the_same_face(function: types.FunctionType) -> None:
    """Whatever its parameters and kind, a function's twin has the same, by itself and by its code."""
    same = twin(function, Silent())
    for follow in (True, False):
        assert inspect.signature(same, follow_wrapped=follow) == inspect.signature(function)
    assert inspect.getfullargspec(same) == inspect.getfullargspec(function)
    for ask in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        assert ask(same) == ask(function)
    count = function.__code__.co_argcount + function.__code__.co_kwonlyargcount
    assert same.__code__.co_varnames[:count] == function.__code__.co_varnames[:count]


@given(
    functions(), st.lists(st.integers(), max_size=6), st.dictionaries(st.sampled_from([*NAMES, "other"]), st.integers())
)
@settings(max_examples=200, deadline=None)
def test_a_twin_takes_the_same_calls(function: types.FunctionType, args: list[int], kwargs: dict[str, int]) -> None:
    """Whatever a function is called with, its twin hands it over, or refuses it in the same words."""

    def outcome(target: Any) -> Any:
        try:
            called = target(*args, **kwargs)
        except TypeError as error:
            return str(error)
        if inspect.iscoroutine(called) or inspect.isasyncgen(called):
            step = called if inspect.iscoroutine(called) else called.asend(None)
            try:
                return step.send(None)
            except StopIteration as stop:
                return stop.value
        return next(called) if inspect.isgenerator(called) else called

    block = Silent()
    assert outcome(twin(function, block)) == outcome(function)
    for positional, named, _ in block.told:
        assert positional == inspect.signature(function).bind(*positional, **named).args


def test_a_twin_stands_in_its_functions_place() -> None:
    """File, line, names and globals of the code are the function's; tracebacks show the decorator's line."""

    def function() -> None: ...

    code, other = function.__code__, twin(function, Silent()).__code__  # type: ignore[arg-type]
    assert (other.co_filename, other.co_firstlineno, other.co_name) == (
        code.co_filename,
        code.co_firstlineno,
        code.co_name,
    )
    assert {line for *_, line in other.co_lines()} <= {code.co_firstlineno, None}
    assert getattr(other, "co_qualname", "") == getattr(code, "co_qualname", "")


def test_twins_of_equal_functions_are_apart() -> None:
    """Functions of the same parameters share nothing but what never changes."""

    def make(result: int) -> Any:
        def function(one: int) -> int:
            return result

        return function

    blocks = Silent(), Silent()
    twins = [twin(make(n), block) for n, block in enumerate(blocks)]
    assert [each(5) for each in twins] == [0, 1]
    assert [block.told for block in blocks] == [[((5,), {}, False)]] * 2
