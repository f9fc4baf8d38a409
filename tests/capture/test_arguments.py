"""Arguments under the names of their parameters."""

import functools
import gc
import inspect
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_tracer._capture.arguments import Arguments

ARGUMENTS = Arguments()


def bound(function: Any, *args: Any, skip_first: bool = False, **kwargs: Any) -> dict[str, Any]:
    return ARGUMENTS.bound(function, args, kwargs, skip_first=skip_first)


def plain(a: int, b: int = 2, *rest: int, c: int = 3, **options: int) -> None: ...


def only(a: int, /, b: int, *, c: int = 3) -> None: ...


def test_arguments_get_their_names() -> None:
    """Positional and keyword arguments stand under their parameters' names, and so do defaults."""
    assert bound(plain, 1) == {"a": 1, "b": 2, "c": 3}
    assert bound(plain, 1, 5, 6, 7, c=8, d=9) == {"a": 1, "b": 5, "rest": (6, 7), "c": 8, "d": 9}
    assert bound(plain, a=1) == {"a": 1, "b": 2, "c": 3}
    assert bound(plain, 1, 4) == {"a": 1, "b": 4, "c": 3}
    assert bound(lambda: None) == {}


def test_the_first_argument_can_be_left_out() -> None:
    """`self` and `cls` are left out, given by position or by name."""
    assert bound(plain, "self", 5, skip_first=True) == {"b": 5, "c": 3}
    assert bound(plain, b=5, a="self", skip_first=True) == {"b": 5, "c": 3}
    assert bound(plain, "self", 5, 6, skip_first=True) == {"b": 5, "rest": (6,), "c": 3}
    assert bound(lambda self=None, a=1: None, skip_first=True) == {"a": 1}
    assert bound(lambda *args: None, "self", 5, skip_first=True) == {"args": (5,)}


def test_a_keyword_may_be_the_namesake_of_a_positional_only_parameter() -> None:
    """Both are kept when `**options` holds a name that a positional-only parameter has."""

    def odd(a: int, /, **options: int) -> None: ...

    assert bound(odd, 1, a=2) == {"a": 1, "a (keyword)": 2}


def test_too_many_arguments_are_refused() -> None:
    """A call that the function would refuse is refused."""
    with pytest.raises(TypeError):
        bound(only, 1, 2, 3)


def test_a_wrapped_function_is_seen_through() -> None:
    """The names are those of the function that a decorator wraps."""

    @functools.wraps(plain)
    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    assert bound(wrapper, 1, 5, 6) == {"a": 1, "b": 5, "rest": (6,), "c": 3}
    assert bound(wrapper, "self", skip_first=True) == {"b": 2, "c": 3}


class Callable:
    def __call__(self, a: int, *rest: int) -> None: ...

    def method(self, a: int) -> None: ...

    @classmethod
    def of_class(cls, a: int) -> None: ...


class Unhashable(Callable):
    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (Callable(), {"a": 1}),
        (Unhashable(), {"a": 1}),
        (Callable().method, {"a": 1}),
        (Callable.of_class, {"a": 1}),
        (functools.partial(plain, 0), {"a": 0, "b": 1, "c": 3}),
        (functools.partial(plain, 0, c=7), {"a": 0, "b": 1, "c": 7}),
        (functools.partial(functools.partial(plain, 0), 5), {"a": 0, "b": 5, "rest": (1,), "c": 3}),
        (abs, {"x": 1}),
    ],
)
def test_every_callable_with_a_signature_is_understood(function: Any, expected: dict[str, Any]) -> None:
    """Callable objects, bound methods, partials (with what they hold) and builtins are bound by their signature."""
    assert bound(function, 1) == expected
    assert bound(function, 1) == expected


def test_a_function_is_not_kept_alive() -> None:
    """Binding keeps no callable alive."""

    @functools.wraps(plain)
    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    bound(wrapper, 1)
    alive = weakref.ref(wrapper)
    del wrapper
    gc.collect()
    assert alive() is None


@given(
    st.lists(st.integers(), max_size=6), st.dictionaries(st.sampled_from(["a", "b", "c", "d", "rest"]), st.integers())
)
def test_it_agrees_with_the_signature(args: list[int], kwargs: dict[str, int]) -> None:
    """Whatever `inspect` binds is bound to the same names."""
    try:
        binding = inspect.signature(plain).bind(*args, **kwargs)
    except TypeError:
        return
    binding.apply_defaults()
    expected = binding.arguments
    flat = {name: value for name, value in expected.items() if name != "options" and (name, value) != ("rest", ())}
    if "rest" in expected.get("options", {}) and "rest" in flat:
        return
    assert ARGUMENTS.bound(plain, args, kwargs, skip_first=False) == {**flat, **expected.get("options", {})}
