"""Whatever a program hands around, recording it breaks nothing and delays nothing."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import mission_tracer as mt


class Hostile:
    """Raise at every look."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no eq")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")

    def __len__(self) -> int:
        raise RuntimeError("no length")


class UnspeakableError(Exception):
    """Raise when it is said."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


ODD: dict[str, Any] = {
    "hostile": Hostile(),
    "cycle": cyclic(),
    "deep": nested(5_000),
    "long": "x" * 20_000_000,
    "lock": threading.Lock(),
    "nan": float("nan"),
    "infinity": float("-inf"),
    "bytes": b"\xff\x00",
    "surrogate": "\ud800",
    "digits": 10**200,
    "keys": {(1, 2): 3, None: 4, 5: 6},
    "set": {1, "two"},
    "class": Hostile,
    "function": nested,
}


@mt.tool_call
def echo(value: Any) -> Any:
    return value


@mt.plan_step
def step(value: Any) -> Any:
    return echo(value)


@pytest.mark.parametrize("name", ODD)
def test_row_19_odd_values_pass_and_arrive(name: str, api: Any) -> None:
    """An odd value passes through a run, a step and a tool unchanged, and everything recorded of it is delivered."""
    value = ODD[name]
    assert mt.mission_run("Odd")(step)(value) is value
    with mt.mission_run("Odd too") as run:
        run.log_event("odd", payload={name: value})
    assert mt.flush(30)
    assert {mission["runs"][0]["run"].status for mission in api.tree()} == {"succeeded"}
    stats = mt.stats()
    assert (stats.pending, stats.rejected, stats.dropped) == (0, 0, {})


def test_row_19_generators_are_never_consumed(api: Any) -> None:
    """A generator that is handed around yields all of its items to the program."""
    numbers = (n for n in range(3))
    with mt.mission_run("Odd"):
        assert list(echo(numbers)) == [0, 1, 2]
    assert mt.flush(30)


def test_row_19_an_exception_that_cannot_be_said_is_recorded(api: Any) -> None:
    """An exception whose `str` raises reaches the caller as it is, and its run is failed."""
    error = UnspeakableError()
    with pytest.raises(UnspeakableError) as caught, mt.mission_run("Odd"), mt.plan_step("s"):
        raise error
    assert caught.value is error
    assert mt.flush(30)
    assert "UnspeakableError" in api.only_run()["run"].error
