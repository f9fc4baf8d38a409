"""Put the API, the page and the administration together as one ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import Mount

from mission_tracer.server.api import Api, utc_now
from mission_tracer.server.behaviour import Behaviour
from mission_tracer.server.local import Local
from mission_tracer.server.seeds import load_seed, read_seed

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from mission_tracer.server.store import Store


def create_app(
    store: Store,
    *,
    behaviour: Behaviour | None = None,
    seed: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    admin: bool = False,
    clock: Callable[[], datetime] = utc_now,
) -> Starlette:
    """Build the Missions API on a store, with its page.

    Args:
        store: where the state is kept; closing it is up to the caller.
        behaviour: answers to what the contract leaves open; None: the defaults.
        seed: a mapping or the path of a JSON file, loaded if the store has no mission yet; None: nothing.
        admin: add `/_local/reset` and `/_local/behaviour`.
        clock: tells the present moment, aware and in UTC.

    Raises:
        ConfigurationError: the seed cannot be read or does not fit together.
    """
    api = Api(store, behaviour=behaviour or Behaviour(), clock=clock)
    seeded = read_seed(seed)
    with store.transaction():
        if not store.count("missions"):
            load_seed(store, seeded, now=clock())
    local = Local(api, seed=seeded)
    return Starlette(routes=[*local.routes(admin=admin), Mount("/", app=api)])
