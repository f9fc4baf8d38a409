"""Drive an ASGI application from plain functions, and hold all traffic against the API's contract."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import httpx

from mission_tracer.server import Behaviour, Store, create_app
from mission_tracer.server.attachments import KINDS
from tests import contract

UUID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"


def respond(
    app: Any, method: str, target: str, *, headers: Iterable[tuple[bytes, bytes]] = (), body: bytes = b""
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Run an application to its answer without an event loop: it waits for nothing but the request.

    Args:
        app: the ASGI application.
        method: what is asked for.
        target: the path and the query, percent-encoded.
        headers: names and values.
        body: the content.

    Returns:
        The status, the headers and the content of the answer.
    """
    path, _, query = target.partition("?")
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in headers],
    }
    run = app(scope, receive, send)
    try:
        run.send(None)
    except StopIteration:
        start, content = sent
    else:
        raise AssertionError("the application waits for something")
    return start["status"], start["headers"], content.get("body", b"")


class AppTransport(httpx.BaseTransport):
    """Have an application in this process answer a client.

    Args:
        app: the ASGI application.
        checked: hold successful requests and all answers against the contract.
    """

    def __init__(self, app: Any, *, checked: bool = True) -> None:
        self.app = app
        self.checked = checked

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body, target = request.read(), request.url.raw_path.decode()
        status, headers, content = respond(self.app, request.method, target, headers=request.headers.raw, body=body)
        answer = httpx.Response(status, headers=headers, content=content)
        if self.checked and "/ai/missions" in request.url.path:
            check(request, answer, body)
        return answer


def check(request: httpx.Request, answer: httpx.Response, body: bytes) -> None:
    """Hold one exchange against the contract; what the server refused may be as wrong as it likes."""
    target = request.url.raw_path.decode()
    if answer.status_code < 400:
        contract.check_request(request.method, target, body)
    if answer.status_code not in {404, 405} or answer.headers.get("content-type") != "application/json":
        contract.check_answer(request.method, target, answer.status_code, _declared(answer))


def _declared(answer: httpx.Response) -> Any:
    """Return the body without what a mission shows beyond its schema: the official SDK's documentation tells of it."""
    if not answer.content or "mission_id" not in answer.json().get("data", ()):
        return answer.content
    mission = {name: value for name, value in answer.json()["data"].items() if name not in KINDS}
    return {"data": mission}


@contextmanager
def api(
    *, checked: bool = True, store: Store | None = None, prefix: str = "/v2", **options: Any
) -> Iterator[httpx.Client]:
    """Give a client of a new server in this process.

    Args:
        checked: hold all traffic against the contract.
        store: the state; None: an empty one in memory.
        prefix: what stands before the API's paths.
        options: what `create_app` takes; any other name is a switch.
    """
    switches = {name: options.pop(name) for name in list(options) if name in Behaviour.__struct_fields__}
    own = store or Store()
    try:
        app = create_app(own, behaviour=Behaviour(**switches), **options)
        headers = {"Authorization": "Bearer test"}
        transport = AppTransport(app, checked=checked)
        with httpx.Client(transport=transport, base_url=f"http://server{prefix}", headers=headers) as client:
            yield client
    finally:
        if store is None:
            own.close()


def data(answer: httpx.Response, status: int = 200) -> Any:
    """Return the data of an answer that must have this status."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    return answer.json()["data"]


def refused(answer: httpx.Response, status: int) -> str:
    """Return the words of a refusal, in Telnyx's shape, that must have this status."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    (error,) = answer.json()["errors"]
    return str(error["detail"])


def faults(answer: httpx.Response) -> list[tuple[str, str]]:
    """Return place and kind of every fault that a 422 names."""
    assert answer.status_code == 422, f"{answer.status_code}: {answer.text}"
    return [(".".join(map(str, fault["loc"])), fault["type"]) for fault in answer.json()["detail"]]


def new_mission(client: httpx.Client, **fields: Any) -> str:
    """Create a mission; return its path."""
    mission = data(client.post("/ai/missions", json={"name": "Find window washers", **fields}), 201)
    return f"/ai/missions/{mission['mission_id']}"


def new_run(client: httpx.Client, mission: str | None = None, **fields: Any) -> str:
    """Start a run, in a new mission if none is given; return its path."""
    where = mission or new_mission(client)
    run = data(client.post(f"{where}/runs", json=fields), 201)
    return f"{where}/runs/{run['run_id']}"


def steps(*names: str, **fields: Any) -> dict[str, Any]:
    """Make the body that creates these steps, in this order."""
    return {
        "steps": [
            {"step_id": name, "description": f"Do {name}", "sequence": number, **fields}
            for number, name in enumerate(names, start=1)
        ]
    }
