"""FastAPI: endpoints, dependencies with `yield`, and streams under our decorators."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest

import mission_tracer as mt
from mission_tracer import facts

fastapi = pytest.importorskip("fastapi")

from fastapi.responses import StreamingResponse  # noqa: E402 - after the skip

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it announces its next HTTP client
    from fastapi.testclient import TestClient


def test_fastapi(journal: Callable[[], list[facts.Fact]]) -> None:
    """FastAPI reads parameters and annotations of decorated endpoints and dependencies; those with `yield` clean up."""
    log: list[Any] = []
    app = fastapi.FastAPI()

    @mt.plan_step
    def session(city: str) -> Iterator[str]:
        log.append("opened")
        try:
            yield f"session of {city}"
        except ValueError:
            log.append("rolled back")
            raise
        finally:
            log.append("closed")

    @mt.plan_step("later")
    async def later(city: str) -> AsyncIterator[str]:
        yield f"later {city}"
        log.append("later closed")

    class Checker:
        def __call__(self, limit: int = 3) -> int:
            return limit

    checker = mt.tool_call(Checker())

    @app.get("/agent/{city}")
    @mt.mission_run("Agent")
    def agent(
        city: str,
        one: str = fastapi.Depends(session),
        two: str = fastapi.Depends(later),
        n: int = fastapi.Depends(checker),
    ) -> dict[str, Any]:
        if n == 0:
            raise ValueError("none")
        run = mt.current_run()
        return {"city": city, "one": one, "two": two, "n": n, "run": run is not None}

    @app.get("/stream")
    @mt.mission_run("Stream")
    async def stream(count: Annotated[int, fastapi.Query(ge=1)]) -> Any:
        return StreamingResponse(tokens(count))

    @mt.mission_run("Tokens")
    async def tokens(count: int) -> AsyncIterator[str]:
        for n in range(count):
            yield str(n)

    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/agent/Chicago?limit=5")
        assert answer.json() == {
            "city": "Chicago",
            "one": "session of Chicago",
            "two": "later Chicago",
            "n": 5,
            "run": True,
        }
        assert client.get("/agent/Chicago?limit=x").status_code == 422
        assert client.get("/agent/Chicago?limit=0").status_code == 500
        assert client.get("/stream?count=3").text == "012"
        assert client.get("/stream?count=0").status_code == 422
        parameters = client.get("/openapi.json").json()["paths"]["/agent/{city}"]["get"]["parameters"]
    assert {parameter["name"] for parameter in parameters} == {"city", "limit"}
    assert log.count("closed") == log.count("opened") >= 2
    assert log.count("rolled back") == 1
    assert "later closed" in log
    assert mt.current_run() is None
    closed = [fact.status for fact in journal() if isinstance(fact, facts.RunClosed)]
    assert sorted(closed) == ["failed", "succeeded", "succeeded", "succeeded"]


def test_starlette_disconnect(journal: Callable[[], list[facts.Fact]]) -> None:
    """A stream whose reader goes away is closed once, as cancelled."""
    closed: list[int] = []

    @mt.mission_run("Tokens")
    async def tokens() -> AsyncIterator[str]:
        try:
            while True:
                yield "token"
                await asyncio.sleep(0)
        finally:
            closed.append(1)

    async def main() -> None:
        sent: list[Any] = []
        enough = asyncio.Event()

        async def send(message: Any) -> None:
            sent.append(message)
            if len(sent) == 3:
                enough.set()

        async def receive() -> Any:
            await enough.wait()
            return {"type": "http.disconnect"}

        await StreamingResponse(tokens())({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)

    asyncio.run(main())
    assert closed == [1]
    assert [fact.status for fact in journal() if isinstance(fact, facts.RunClosed)] == ["cancelled"]
