"""Which handler answers which operation, and how a path finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from mission_tracer._api.endpoints import OPERATIONS, Operation
from mission_tracer.server import agents, events, missions, plans, runs
from mission_tracer.server.attachments import KINDS
from mission_tracer.server.attachments import handlers as attachment_handlers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mission_tracer.server.answers import Answer
    from mission_tracer.server.calls import Call

    Handler = Callable[[Call], Answer]

HANDLERS: Mapping[str, Handler] = {
    "missions.list": missions.list_missions,
    "missions.create": missions.create,
    "missions.list_events": events.list_all,
    "missions.retrieve": missions.retrieve,
    "missions.update": missions.update,
    "missions.delete": missions.delete,
    "missions.clone": missions.clone,
    "missions.runs.list_runs": runs.list_all,
    "missions.runs.list": runs.list_of_mission,
    "missions.runs.create": runs.create,
    "missions.runs.retrieve": runs.retrieve,
    "missions.runs.update": runs.update,
    "missions.runs.cancel": runs.cancel,
    "missions.runs.pause": runs.pause,
    "missions.runs.resume": runs.resume,
    "missions.runs.events.list": events.list_of_run,
    "missions.runs.events.log": events.log,
    "missions.runs.events.retrieve": events.retrieve,
    "missions.runs.plan.retrieve": plans.retrieve,
    "missions.runs.plan.create": plans.create,
    "missions.runs.plan.add_steps": plans.add_steps,
    "missions.runs.plan.step": plans.retrieve_step,
    "missions.runs.plan.update_step": plans.update_step,
    "missions.runs.telnyx_agents.list": agents.list_linked,
    "missions.runs.telnyx_agents.link": agents.link,
    "missions.runs.telnyx_agents.unlink": agents.unlink,
    **{f"missions.{name}": handler for kind in KINDS for name, handler in attachment_handlers(kind).items()},
}
"""The handler of every operation, by the operation's name."""


class Route(NamedTuple):
    """One operation and who answers it."""

    operation: Operation
    handler: Handler


class Routes:
    """Find the operations of a path: a tree of its segments, where literal ones win over ids.

    Not the web framework's routes: those see the path decoded, so that an id with an escaped slash falls apart.
    """

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._root = _Node()
        for operation in operations:
            node = self._root
            for segment in operation.path.split("/")[1:]:
                node = node.children.setdefault("{}" if segment.startswith("{") else segment, _Node())
            node.routes[operation.method] = Route(operation, HANDLERS[operation.name])

    def find(self, path: str) -> tuple[Mapping[str, Route], list[str]]:
        """Return the routes of a path by method, and the ids in it.

        Args:
            path: percent-encoded, with or without the prefix `/v2`. An unknown one has no routes.
        """
        segments = path.split("/")[1:]
        if segments[0] == "v2":
            del segments[0]
        node = self._root
        ids = []
        for segment in segments:
            child = node.children.get(segment) if segment != "{}" else None
            if child is None:
                child = node.children.get("{}") if segment else None
                ids.append(unquote(segment))
            if child is None:
                return {}, []
            node = child
        return node.routes, ids


class _Node:
    """One segment of the known paths."""

    __slots__ = ("children", "routes")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.routes: dict[str, Route] = {}


ROUTES = Routes(OPERATIONS.values())
