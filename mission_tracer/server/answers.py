"""What a handler gives back: an answer, or a refusal that becomes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from mission_tracer.models import HTTPValidationError, Meta, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mission_tracer.server.behaviour import Behaviour

JSON = "application/json"
encode = msgspec.json.Encoder().encode

TITLES = {
    401: "Authentication failed",
    404: "Resource not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Payload too large",
    500: "Unexpected error",
}
# Telnyx's general error codes; 405, 409 and 413 have none of their own: the nearest is "bad request".
CODES = {401: "10009", 404: "10005", 500: "10007"}
BAD_REQUEST = "10015"
DUPLICATE = "10012"


class Answer(NamedTuple):
    """An HTTP answer: status, body, and headers beside the content type."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


class RefusedError(Exception):
    """The request is understood and not obeyed: becomes a 4xx in the shape that `error_shape` asks for.

    Args:
        status: the HTTP status.
        detail: what is wrong, with the ids and states that it hangs on.
        code: Telnyx's error code; None: the one that belongs to the status.
        headers: headers of the answer.
    """

    def __init__(
        self, status: int, detail: str, *, code: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code or CODES.get(status, BAD_REQUEST)
        self.headers = headers or {}


class InvalidError(Exception):
    """The request is malformed: becomes a 422 that lists every fault."""

    def __init__(self, *faults: ValidationError) -> None:
        super().__init__(*faults)
        self.faults = list(faults)


def fault(loc: Iterable[str | int], msg: str, kind: str) -> ValidationError:
    """Name one fault of a request: where it is, what it is, and its kind in pydantic's words."""
    return ValidationError(loc=list(loc), msg=msg, type=kind)


def conflict(detail: str, *, duplicate: bool = False) -> RefusedError:
    """Return a 409 that the official SDK does not repeat."""
    return RefusedError(409, detail, code=DUPLICATE if duplicate else None, headers={"x-should-retry": "false"})


def one(status: int, doc: bytes) -> Answer:
    """Answer with one document."""
    return Answer(status, b'{"data":' + doc + b"}")


def many(status: int, docs: list[bytes]) -> Answer:
    """Answer with all documents, unpaged."""
    return Answer(status, b'{"data":[' + b",".join(docs) + b"]}")


def paged(docs: list[bytes], meta: Meta) -> Answer:
    """Answer with one page of documents."""
    return Answer(200, b'{"data":[' + b",".join(docs) + b'],"meta":' + encode(meta) + b"}")


def refusal(refused: RefusedError | InvalidError, behaviour: Behaviour) -> Answer:
    """Return the answer that a refusal becomes."""
    if isinstance(refused, InvalidError):
        return Answer(422, encode(HTTPValidationError(detail=refused.faults)))
    body: dict[str, Any] = {"detail": refused.detail}
    if behaviour.error_shape == "telnyx":
        title = TITLES.get(refused.status, "Bad request")
        body = {"errors": [{"code": refused.code, "title": title, "detail": refused.detail}]}
    return Answer(refused.status, encode(body), refused.headers)
