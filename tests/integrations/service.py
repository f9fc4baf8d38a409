"""A service that answers the clients of models as the test says, without a network."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

httpx2 = pytest.importorskip("httpx2")


class Service:
    """Answers requests with what the test says, in turn; the last one for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[Any] = []

    def __call__(self, request: Any) -> Any:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, int):
            return httpx2.Response(answer, json={"error": {"message": f"status {answer}", "type": "t"}})
        if isinstance(answer, bytes):

            class Body(httpx2.SyncByteStream):
                def __iter__(self) -> Iterator[bytes]:
                    yield answer

            return httpx2.Response(200, headers={"content-type": "application/json"}, stream=Body())
        if isinstance(answer, list):
            stream = self._pieces(answer)
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=stream)
        return httpx2.Response(200, json=answer)

    def _pieces(self, answer: list[Any]) -> Any:
        class Stream(httpx2.SyncByteStream, httpx2.AsyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                for piece in answer:
                    if piece is None:
                        raise httpx2.ReadError("the line broke")
                    kind = f"event: {piece['type']}\n" if "type" in piece else ""
                    yield f"{kind}data: {json.dumps(piece)}\n\n".encode()
                yield b"data: [DONE]\n\n"

            async def __aiter__(self) -> AsyncIterator[bytes]:
                for data in self:
                    yield data

        return Stream()
