"""Answer the 41 operations over ASGI: find the handler, read the request, run it in one transaction."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

from mission_tracer.server.answers import JSON, Answer, InvalidError, RefusedError, refusal
from mission_tracer.server.calls import Call
from mission_tracer.server.operations import ROUTES
from mission_tracer.server.validation import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from mission_tracer._api.endpoints import Operation
    from mission_tracer.server.behaviour import Behaviour
    from mission_tracer.server.operations import Route
    from mission_tracer.server.store import Store

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(timezone.utc)


class Api:
    """The Missions API on a store.

    Args:
        store: where the state is kept.
        behaviour: the switches; may be exchanged between two requests.
        clock: tells the moment of a request, aware and in UTC.
    """

    def __init__(self, store: Store, *, behaviour: Behaviour, clock: Callable[[], datetime] = utc_now) -> None:
        self.store = store
        self.behaviour = behaviour
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            route, path = self._find(scope)
            _authenticate(scope)
            body = await _read(receive, self.behaviour)
            if body is None:  # the client is gone: nobody asked for anything
                return
            answer = self._handle(route, path, scope, body)
        except (RefusedError, InvalidError) as refused:
            answer = refusal(refused, self.behaviour)
        except Exception:
            log.exception("cannot answer %s %s", scope["method"], scope["path"])
            answer = refusal(RefusedError(500, "the server failed; its log says why"), self.behaviour)
        await _send(answer, send)

    def _find(self, scope: Scope) -> tuple[Route, dict[str, str]]:
        routes, ids = ROUTES.find(_path(scope))
        if not routes:
            raise RefusedError(404, f"there is nothing at {scope['path']}")
        route = routes.get(scope["method"])
        if route is None:
            raise RefusedError(
                405, f"{scope['method']} is not for {scope['path']}", headers={"allow": ", ".join(routes)}
            )
        return route, dict(zip(route.operation.params, ids, strict=True))

    def _handle(self, route: Route, path: dict[str, str], scope: Scope, body: bytes) -> Answer:
        operation, behaviour = route.operation, self.behaviour
        call = Call(
            store=self.store,
            behaviour=behaviour,
            now=self.clock(),
            path=path,
            query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            body=_typed(operation, body, behaviour),
        )
        with self.store.transaction(write=operation.method != "GET"):
            return route.handler(call)


def _path(scope: Scope) -> str:
    """Return the path as it was sent, below the place where the app is mounted."""
    raw: bytes | None = scope.get("raw_path")
    if raw is None:
        return str(scope["path"])
    return raw.decode("latin-1").partition("?")[0].removeprefix(quote(scope.get("root_path", "")))


def _authenticate(scope: Scope) -> None:
    """Refuse a request without a bearer token; any token will do."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            if scheme.lower() == b"bearer" and token.strip():
                return
    raise RefusedError(401, "send the header Authorization: Bearer <key>; any key will do here")


def _typed(operation: Operation, body: bytes, behaviour: Behaviour) -> Any:
    if operation.request is None:
        return body
    if not body and operation.name == "missions.runs.create":  # the one body that may be absent
        body = b"{}"
    return decode(body, operation.request, forbid_unknown=behaviour.unknown_fields == "reject")


async def _read(receive: Receive, behaviour: Behaviour) -> bytes | None:
    """Return the body; None when the client left before its end."""
    limit = behaviour.max_body
    parts = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        part = message.get("body", b"")
        size += len(part)
        if limit == "unlimited" or size <= limit:
            parts.append(part)
        if not message.get("more_body"):
            break
    if limit != "unlimited" and size > limit:
        raise RefusedError(413, f"the body has {size} bytes; {limit} are allowed")
    return b"".join(parts)


async def _send(answer: Answer, send: Send) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    if answer.status != HTTPStatus.NO_CONTENT:
        headers += [(b"content-type", JSON.encode()), (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
