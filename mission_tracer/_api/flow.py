"""Decide what one API call does on the wire, once for both clients: send, judge, wait, send again.

Pure: `converse` yields what to do and is told what came of it; a client only sends and sleeps.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import UNSET

from mission_tracer._api.endpoints import OPERATIONS, Operation, Request, build, parse
from mission_tracer._base.backoff import delay
from mission_tracer.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    NotFoundError,
    RateLimitError,
    RequestLine,
)

T = TypeVar("T")

LONGEST_WAIT = 60.0
"""A server that asks to wait longer gets no second request: the error says how long it asked for. In seconds."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One operation about to be performed; a client turns it into a `T`.

    Args:
        operation: the row of the API.
        request: the built request.
        repeatable: sending it twice has the effect of sending it once.
    """

    operation: Operation
    request: Request
    repeatable: bool


def call(name: str, *, body: Mapping[str, Any] | None = None, json: object = None, **path: str) -> Call[Any]:
    """Make a call out of an operation's name and its arguments.

    Args:
        name: the operation's name without the leading `missions.`.
        body: the fields of the declared body; None as a value: not sent.
        json: the body of an operation that declares none; None: no body.
        **path: the ids.

    Raises:
        ValueError: an argument cannot be sent.
    """
    operation = OPERATIONS[f"missions.{name}"]
    content: object = UNSET if json is None else json
    if body is not None:
        content = {field: value for field, value in body.items() if value is not None}
    repeatable = operation.repeatable or bool(body and body.get("idempotency_key"))
    return Call(operation, build(operation, path, body=content), repeatable)


class Answer(NamedTuple):
    """The server answered."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Lost(NamedTuple):
    """No answer came; `sent` is False when the server certainly never saw the request."""

    cause: Exception
    sent: bool
    timed_out: bool


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how fast a client repeats a request.

    Args:
        max_retries: how many times at most, 0 for never.
        clock: seconds since the epoch.
        random: draws from 0 to 1.
    """

    max_retries: int
    clock: Callable[[], float]
    random: Callable[[], float]


def converse(what: Call[T], base_url: str, pace: Pace) -> Generator[Request | float, Answer | Lost | None, T]:
    """Perform a call: yield a request to send or the seconds to wait, receive the reply (None after a wait).

    Raises:
        APIError: the last thing that went wrong, when it is not worth or not safe to try again.
    """
    line = RequestLine(what.request.method, base_url + what.request.target)
    attempt, perhaps_done = 0, False
    while True:
        reply = yield what.request
        try:
            return _outcome(what, reply, line, pace)
        except APIError as error:
            if perhaps_done and what.request.method == "DELETE" and isinstance(error, NotFoundError):
                return None  # type: ignore[return-value]  # gone, as asked: an earlier attempt did it and its answer was lost
            attempt += 1
            asked = error.retry_after if isinstance(error, APIStatusError) else None
            if attempt > pace.max_retries or (asked or 0) > LONGEST_WAIT or not _again(error, what.repeatable):
                raise
            perhaps_done = perhaps_done or not _surely_not_done(error)
        yield delay(attempt, random=pace.random, first=0.5, most=8.0, asked=asked)


def _outcome(what: Call[T], reply: Answer | Lost | None, line: RequestLine, pace: Pace) -> T:
    if isinstance(reply, Answer):
        return parse(what.operation, *reply, now=pace.clock(), request=line)  # type: ignore[no-any-return]
    assert reply is not None, "a request is answered or lost"
    kind = APITimeoutError if reply.timed_out else APIConnectionError
    raise kind(_describe(reply.cause), request=line, sent=reply.sent) from reply.cause


def _again(error: APIError, repeatable: bool) -> bool:  # noqa: FBT001 - a private predicate of two facts
    """Tell whether another attempt may help and cannot do the thing twice."""
    if _surely_not_done(error):
        return True
    if isinstance(error, APIStatusError):
        failed = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and error.status != HTTPStatus.NOT_IMPLEMENTED
        return repeatable and (failed or error.status == HTTPStatus.REQUEST_TIMEOUT)
    return repeatable and isinstance(error, APIConnectionError)


def _surely_not_done(error: APIError) -> bool:
    """Tell whether the server cannot have acted: it never saw the request, or turned it away to come back later."""
    if isinstance(error, APIConnectionError):
        return not error.sent
    if isinstance(error, APIStatusError) and error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return error.retry_after is not None
    return isinstance(error, RateLimitError)


def _describe(cause: Exception) -> str:
    return f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
