"""Decorate each subject in every way, inside of a run, outside of one, and with recording switched off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import mission_tracer as mt

Decorate = Callable[[Any], Any]

WAYS: dict[str, tuple[Decorate, str]] = {
    "mission_run": (mt.mission_run, "outside"),
    "mission_run in a run": (mt.mission_run("Inner", plan=["a"]), "inside"),
    "plan_step": (mt.plan_step, "inside"),
    "plan_step with arguments": (mt.plan_step("named", description="With arguments"), "inside"),
    "plan_step outside": (mt.plan_step, "outside"),
    "tool_call": (mt.tool_call, "inside"),
    "tool_call with arguments": (mt.tool_call("named"), "inside"),
    "tool_call in tool_call": (lambda target: mt.tool_call(mt.plan_step(target)), "inside"),
    "disabled": (mt.mission_run("Off"), "disabled"),
}


@pytest.fixture(params=WAYS)
def decorate(request: pytest.FixtureRequest) -> Iterator[Decorate]:
    """Give one decorator, in the surroundings its calls are made in."""
    way, where = WAYS[request.param]
    mt.configure(strict=where != "disabled", enabled=where != "disabled", log_level="off")
    if where == "inside":
        with mt.mission_run("Outer"):
            yield way
    else:
        yield way


@pytest.fixture(params=["mission_run", "plan_step with arguments", "tool_call in tool_call"])
def dress(request: pytest.FixtureRequest) -> Decorate:
    """Give one decorator, for checks of how a callable looks, wherever that is."""
    return WAYS[request.param][0]


@pytest.fixture(params=["mission_run", "plan_step", "tool_call"])
def recorded(request: pytest.FixtureRequest) -> Iterator[Decorate]:
    """Give one decorator that records, for checks of what is recorded."""
    mt.configure(strict=True, log_level="off")
    with mt.mission_run("Outer"):
        yield getattr(mt, request.param)


def same(target: Any) -> Any:
    """Decorate with nothing."""
    return target
