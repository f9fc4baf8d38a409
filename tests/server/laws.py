"""The laws of the switches: what a server does under each value, collected by `law`."""

from collections.abc import Callable
from typing import Any

from .driver import data, new_run, steps

EVENT = {"type": "custom", "summary": "s", "idempotency_key": "k"}
LAWS: dict[tuple[str, Any], Callable[[Any], None]] = {}


def law(switch: str, *values: Any) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register what holds under these values of a switch."""

    def register(function: Callable[[Any], None]) -> Callable[[Any], None]:
        for value in values:
            assert (switch, value) not in LAWS
            LAWS[switch, value] = function
        return function

    return register


def planned(client, *names, **fields):
    run = new_run(client)
    data(client.post(f"{run}/plan", json=steps(*names, **fields)), 201)
    return run


def plan(client, run):
    return [step["step_id"] for step in data(client.get(f"{run}/plan"))]


def finished_run(client):
    run = new_run(client)
    data(client.patch(run, json={"status": "succeeded"}))
    return run


def moved(client, *statuses):
    step = f"{planned(client, 'a')}/plan/steps/a"
    for status in statuses[:-1]:
        data(client.patch(step, json={"status": status}))
    return client.patch(step, json={"status": statuses[-1]})
