"""Offer pytest the fixture `mission_recorder`. Loaded in every run of every user: imports nothing of ours by itself."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mission_tracer.testing import MissionRecorder


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of our marker."""
    config.addinivalue_line(
        "markers",
        "mission_recorder(settings, deterministic=False, clock=None): how the fixture `mission_recorder` records",
    )


@pytest.fixture
def mission_recorder(request: pytest.FixtureRequest) -> Iterator[MissionRecorder]:
    """Record in memory what the test does, send nothing, and answer `runs`, `steps` and `events`.

    The marker `mission_recorder` takes the arguments of `mission_tracer.testing.recording`.
    """
    marker = request.node.get_closest_marker("mission_recorder")
    args, options = (marker.args, marker.kwargs) if marker is not None else ((), {})
    with importlib.import_module("mission_tracer.testing").recording(*args, **options) as made:
        yield made
