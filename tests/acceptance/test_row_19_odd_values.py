"""Whatever a program hands around, recording it breaks nothing and delays nothing."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt

attrs = pytest.importorskip("attrs")
numpy = pytest.importorskip("numpy")
pandas = pytest.importorskip("pandas")
pydantic = pytest.importorskip("pydantic")


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


class Unreadable(Mapping[str, Any]):
    """Be a mapping that raises at every look."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("no entries")

    __iter__ = __len__ = __getitem__  # type: ignore[assignment]


class Liar:
    """Say to be what it is not."""

    __class__ = dict  # type: ignore[assignment]


class Mute:
    """Raise at every attribute."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("no attributes")


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


@dataclasses.dataclass
class Quote:
    company: str
    rest: Any = None


class PydanticQuote(pydantic.BaseModel):
    company: str
    prices: list[int]


@attrs.define
class AttrsQuote:
    company: str
    price: int


class Endless:
    """Have as many attributes as are asked for."""

    def __getattr__(self, name: str) -> Any:
        return Endless()

    def __iter__(self) -> Iterator[Any]:
        return itertools.repeat(self)

    def __getitem__(self, key: Any) -> Any:
        return self


class Slow:
    """Take its time to be shown."""

    spent = 0.0

    def __repr__(self) -> str:
        begun = time.thread_time()
        while (took := time.thread_time() - begun) < 0.02:
            pass
        Slow.spent += took
        return "slow"


def shared(times: int) -> list[Any]:
    """Hold itself many times over without a circle."""
    value: list[Any] = ["x"]
    for _ in range(times):
        value = [value] * 10
    return value


ODD: dict[str, Any] = {
    "hostile": Hostile(),
    "unreadable mapping": Unreadable(),
    "liar": Liar(),
    "mute": Mute(),
    "proxy of what is gone": weakref.proxy(set()),
    "endless": Endless(),
    "slow": [Slow() for _ in range(1000)],
    "cycle": cyclic(),
    "deep": nested(5_000),
    "shared": shared(50),
    "long": "x" * 100_000_000,
    "many": list(range(1_000_000)),
    "wide": {str(n): n for n in range(100_000)},
    "lock": threading.Lock(),
    "nan": float("nan"),
    "infinity": float("-inf"),
    "bytes": b"\xff\x00",
    "long bytes": bytes(50_000_000),
    "surrogate": "\ud800",
    "digits": 10**200,
    "keys": {(1, 2): 3, None: 4, 5: 6},
    "set": {1, "two"},
    "class": Hostile,
    "function": nested,
    "dataclass": Quote("ABC", Quote("inner")),
    "pydantic": PydanticQuote(company="ABC", prices=[1, 2]),
    "attrs": AttrsQuote("ABC", 350),
    "numpy": numpy.arange(10_000_000),
    "numpy number": numpy.float64(1.5),
    "pandas": pandas.DataFrame({"a": range(100_000)}),
    "exception": ValueError("an", Hostile()),
}

LONGEST = 1.0
"""Seconds of the caller's own time that recording may take, without the values' own code."""

OWN = 13 * (0.05 + 0.02)
"""Seconds that the values' own code may take: in thirteen payloads 0.05 each, and what is under way by then."""

LARGEST = 2 * 32768 + 2048
"""Bytes of a line in the journal: two payloads, for a run has an input and metadata, and what stands around them."""


@mt.tool_call
def echo(value: Any) -> Any:
    return value


@mt.plan_step
def step(value: Any) -> Any:
    return echo(value)


@pytest.mark.parametrize("name", ODD)
def test_row_19_odd_values_pass_and_arrive(name: str, api: Any, tmp_path: Path) -> None:
    """An odd value passes through a run, a step and a tool unchanged; recording it is bounded, and is delivered."""
    value = ODD[name]
    Slow.spent, begun = 0.0, time.thread_time()
    assert mt.mission_run("Odd")(step)(value) is value
    with mt.mission_run("Odd too", input={name: value}, metadata={name: value}) as run:
        run.log_event("odd", payload={name: value})
        with mt.plan_step("odd", metadata={name: value}) as odd, mt.tool_call("odd", arguments={name: value}) as call:
            odd.metadata(value=value)
            call.result(value)
        run.succeed(payload=value)
    assert time.thread_time() - begun - Slow.spent < LONGEST
    assert Slow.spent < OWN
    assert mt.shutdown(30)  # no thread is left that moves files
    lines = [line for path in (tmp_path / "state").rglob("*.jsonl") for line in path.read_bytes().splitlines()]
    assert 0 < max(map(len, lines)) < LARGEST
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
