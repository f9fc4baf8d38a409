"""Every value of every switch does what its description says."""

from datetime import datetime, timedelta, timezone

import pytest

from mission_tracer.server import Behaviour
from mission_tracer.server.behaviour import allowed_values

from . import laws_of_events, laws_of_missions, laws_of_plans
from .driver import api
from .laws import LAWS

COLLECTED = (  # importing them registers their laws
    laws_of_events,
    laws_of_missions,
    laws_of_plans,
)


class Clock:
    """A clock that moves a microsecond per look, and when it is told to."""

    def __init__(self):
        self.now = datetime(2026, 11, 7, 5, 31, 56, tzinfo=timezone.utc)

    def __call__(self):
        self.now += timedelta(microseconds=1)
        return self.now

    def forward(self, **duration):
        self.now += timedelta(**duration)


@pytest.mark.parametrize(("switch", "value"), LAWS, ids=str)
def test_switch(switch, value):
    """A server started with a switch behaves as the switch's description says."""
    # the contract declares neither a 200 to POST nor these fields: it cannot judge what it leaves open
    checked = (switch, value) not in {("repeated_key", "ok"), ("error_shape", "fastapi"), ("unknown_fields", "ignore")}
    clock = Clock()
    with api(checked=checked, clock=clock, **{switch: value}) as client:
        client.clock = clock
        LAWS[switch, value](client)


def test_every_value_of_every_switch_has_its_law():
    """No switch and no named value is untested, and one number at least for those that take numbers."""
    tested = {}
    for switch, value in LAWS:
        number = isinstance(value, (int, float))
        tested.setdefault(switch, set()).add("number" if number else value)
    allowed = {
        switch: {"number" if word.startswith("number of") else word for word in words}
        for switch, words in allowed_values().items()
    }
    assert tested == allowed


def test_the_default_is_the_first_value():
    """A behaviour built from nothing has the first value of each switch."""
    defaults = {name: getattr(Behaviour(), name) for name in Behaviour.__struct_fields__}
    assert defaults == {switch: words[0] for switch, words in allowed_values().items()}
