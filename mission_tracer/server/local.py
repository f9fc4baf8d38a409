"""What the local server has beside the API: the page, what the page reads, and the administration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from mission_tracer.errors import ConfigurationError
from mission_tracer.server.answers import JSON, Answer, InvalidError, encode, fault, refusal
from mission_tracer.server.behaviour import merge
from mission_tracer.server.plans import PLAN_ORDER
from mission_tracer.server.seeds import check_seed, load_seed
from mission_tracer.server.validation import decode, decode_any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from mission_tracer.server.api import Api

PAGE = Path(__file__).with_name("page.html")
SHOWN = 200
"""How many missions and runs the page lists, the newest ones."""
SHOWN_EVENTS = 500
"""How many events of a run the page shows, the last ones."""


class Local:
    """The endpoints under `/_local`, and the page.

    Args:
        api: whose store and behaviour they show and change.
        seed: what a reset puts back.
    """

    def __init__(self, api: Api, *, seed: Mapping[str, Any]) -> None:
        self._api = api
        self._seed = seed

    def routes(self, *, admin: bool) -> list[Route]:
        """Return the routes, with and without the prefix `/v2`; the administration only if `admin`."""
        routes = [Route("/", self.page)]
        for prefix in ("", "/v2"):
            routes.append(Route(f"{prefix}/_local/overview", self.overview))
            if admin:
                routes.append(Route(f"{prefix}/_local/reset", self.reset, methods=["POST"]))
                routes.append(Route(f"{prefix}/_local/behaviour", self.read_behaviour))
                routes.append(Route(f"{prefix}/_local/behaviour", self.change_behaviour, methods=["PUT"]))
        return routes

    async def page(self, _request: Request) -> Response:
        """Answer with the page to look at."""
        return HTMLResponse(PAGE.read_bytes(), headers={"cache-control": "no-cache"})

    async def overview(self, request: Request) -> Response:
        """Answer with what the page shows, or 204 when nothing changed.

        Query: `since`, the version shown now; `run`, the run to show in full.
        """
        store = self._api.store
        version = store.version()
        if request.query_params.get("since") == version:
            return Response(status_code=204)
        with store.transaction(write=False):
            missions = store.select("missions", order="seq DESC", limit=SHOWN)
            runs = store.select("runs", order="seq DESC", limit=SHOWN)
            run = self._run(request.query_params.get("run"))
        return _respond(
            Answer(200, encode({"version": version, "missions": _raw(missions), "runs": _raw(runs), "run": run}))
        )

    def _run(self, run_id: str | None) -> dict[str, Any] | None:
        """Return one run in full: itself, its plan, its agents and its last events."""
        store = self._api.store
        doc = store.fetch("runs", run_id=run_id) if run_id else None
        if doc is None or run_id is None:
            return None
        return {
            "run": msgspec.Raw(doc),
            "steps": _raw(store.select("steps", order=PLAN_ORDER, run_id=run_id)),
            "agents": _raw(store.select("agents", run_id=run_id)),
            "events": _raw(store.select("events", order="seq DESC", limit=SHOWN_EVENTS, run_id=run_id)),
            "event_count": store.count("events", run_id=run_id),
        }

    async def reset(self, request: Request) -> Response:
        """Delete everything, then load the seed again, or the one in the body."""
        body = await request.body()
        store = self._api.store
        try:
            seed = check_seed(decode_any(body)) if body.strip() else self._seed
            with store.transaction():
                store.clear()
                counts = load_seed(store, seed, now=self._api.clock())
        except InvalidError as invalid:
            return self._refuse(invalid)
        except ConfigurationError as error:
            return self._refuse(InvalidError(fault(["body"], str(error), "value_error")))
        return _respond(Answer(200, encode(counts)))

    async def read_behaviour(self, _request: Request) -> Response:
        """Answer with all switches."""
        return _respond(Answer(200, encode(self._api.behaviour)))

    async def change_behaviour(self, request: Request) -> Response:
        """Change the switches named in the body; the others stay."""
        try:
            changes = decode(await request.body(), dict[str, Any])
            self._api.behaviour = merge(self._api.behaviour, changes)
        except InvalidError as invalid:
            return self._refuse(invalid)
        except ConfigurationError as error:
            return self._refuse(InvalidError(fault(["body"], str(error), "value_error")))
        return await self.read_behaviour(request)

    def _refuse(self, invalid: InvalidError) -> Response:
        return _respond(refusal(invalid, self._api.behaviour))


def _raw(docs: list[bytes]) -> list[msgspec.Raw]:
    return [msgspec.Raw(doc) for doc in docs]


def _respond(answer: Answer) -> Response:
    return Response(answer.body, status_code=answer.status, media_type=JSON)
