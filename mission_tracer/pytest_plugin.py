"""Offer pytest the fixture `mission_recorder`. Loaded in every run of every user: imports nothing of ours by itself."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mission_tracer.testing import MissionRecorder


@pytest.fixture
def mission_recorder() -> Iterator[MissionRecorder]:
    """Record in memory what the test does, send nothing, and answer `runs`, `steps` and `events`."""
    with importlib.import_module("mission_tracer.testing").recording() as made:
        yield made
