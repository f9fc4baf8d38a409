"""What one call does on the wire, step by step, with nothing but data: no server, no clock, no sleep."""

from typing import Any

import pytest

from mission_tracer import errors
from mission_tracer._api.endpoints import Request
from mission_tracer._api.flow import LONGEST_WAIT, Answer, Call, Lost, Pace, call, converse

GET = call("retrieve", mission_id="m")
POST = call("create", body={"name": "n"})
KEYED = call(
    "runs.events.log",
    body={"type": "custom", "summary": "s", "idempotency_key": "k"},
    mission_id="m",
    run_id="r",
)
DONE = Answer(
    200,
    {},
    b'{"data": {"mission_id": "m", "name": "n", "execution_mode": "external",'
    b' "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}}',
)
UNSENT = Lost(OSError("refused"), sent=False, timed_out=False)
BROKEN = Lost(OSError("reset"), sent=True, timed_out=False)
SLOW = Lost(TimeoutError(), sent=True, timed_out=True)


def status(number: int, retry_after: str | None = None) -> Answer:
    return Answer(number, {} if retry_after is None else {"retry-after": retry_after}, b"")


def steps(what: Call[Any], *replies: Answer | Lost, max_retries: int = 2, draw: float = 1.0) -> list[object]:
    """List what a call does: "send", the seconds it waits, and at last its value or its error."""
    flow = converse(what, "http://api", Pace(max_retries, clock=lambda: 0.0, random=lambda: draw))
    done: list[object] = []
    left = iter(replies)
    try:
        step = next(flow)
        while True:
            if isinstance(step, Request):
                assert step == what.request
                done.append("send")
                step = flow.send(next(left))
            else:
                done.append(step)
                step = flow.send(None)
    except StopIteration as end:
        assert list(left) == []
        return [*done, end.value]
    except errors.APIError as error:
        return [*done, type(error)]


@pytest.mark.parametrize("trouble", [UNSENT, BROKEN, SLOW, *map(status, (408, 429, 500, 502, 599))])
@pytest.mark.parametrize("what", [GET, KEYED])
def test_what_may_be_repeated_is_repeated(what: Call[Any], trouble: Answer | Lost) -> None:
    """A repeatable call is sent again after anything that may pass, and at most `max_retries` times."""
    done = steps(what, trouble, trouble, trouble)
    assert done[:-1] == ["send", 0.5, "send", 1.0, "send"]
    assert steps(what, trouble, max_retries=0)[:-1] == ["send"]


@pytest.mark.parametrize("trouble", [UNSENT, status(429), status(503, "2")])
def test_what_was_surely_not_done_is_repeated(trouble: Answer | Lost) -> None:
    """A creation is sent again when the server never saw it or put it off."""
    asked = 2.0 if trouble == status(503, "2") else 0.5
    assert steps(POST, trouble, DONE)[:3] == ["send", asked, "send"]


@pytest.mark.parametrize("trouble", [BROKEN, SLOW, *map(status, (408, 500, 502, 503, 504))])
def test_what_may_have_been_done_is_not_repeated(trouble: Answer | Lost) -> None:
    """A creation is not sent again when the server may have acted on it."""
    assert steps(POST, trouble)[:-1] == ["send"]


@pytest.mark.parametrize("number", [301, 400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 425, 501])
@pytest.mark.parametrize("what", [GET, POST, KEYED])
def test_a_refusal_for_good_is_final(what: Call[Any], number: int) -> None:
    """A call is not sent again after a refusal that will not pass by itself."""
    assert steps(what, status(number, "1")) == ["send", errors.error_for(number)]


def test_an_unusable_success_is_final() -> None:
    """A success whose body cannot be used is not asked for again."""
    assert steps(GET, Answer(200, {}, b"{")) == ["send", errors.APIResponseError]


def test_waits_are_jittered_and_bounded() -> None:
    """Waits double up to 8 seconds, drawn down to a tenth by jitter."""
    highest = steps(GET, *[BROKEN] * 8, DONE, max_retries=8)
    assert [step for step in highest if isinstance(step, float)] == [0.5, 1, 2, 4, 8, 8, 8, 8]
    assert steps(GET, BROKEN, DONE, draw=0.0)[1] == pytest.approx(0.05)


def test_the_server_is_given_the_time_it_asks_for() -> None:
    """A wait is never shorter than Retry-After, and never shorter than our own."""
    assert steps(GET, status(429, "30"), DONE)[1] == 30.0
    assert steps(GET, status(429, "0"), DONE)[1] == 0.5


def test_a_server_that_asks_for_too_long_is_not_waited_for() -> None:
    """A Retry-After beyond a minute raises at once, and the error says how long."""
    flow = converse(GET, "http://api", Pace(2, clock=lambda: 0.0, random=lambda: 1.0))
    next(flow)
    with pytest.raises(errors.RateLimitError) as caught:
        flow.send(status(429, str(LONGEST_WAIT + 1)))
    assert caught.value.retry_after == LONGEST_WAIT + 1


@pytest.mark.parametrize("trouble", [BROKEN, SLOW, status(500)])
def test_a_deletion_that_may_have_worked_may_find_nothing(trouble: Answer | Lost) -> None:
    """A deletion that finds nothing succeeds only after an attempt that may have done it."""
    delete = call("delete", mission_id="m")
    assert steps(delete, trouble, status(404))[-1] is None
    assert steps(delete, UNSENT, status(404))[-1] is errors.NotFoundError
    assert steps(delete, status(404))[-1] is errors.NotFoundError


def test_a_lost_request_names_its_cause() -> None:
    """The error of a lost request holds the method, the URL, the cause, and whether it was sent."""
    flow = converse(GET, "http://api", Pace(0, clock=lambda: 0.0, random=lambda: 1.0))
    next(flow)
    with pytest.raises(errors.APITimeoutError, match="GET http://api/ai/missions/m: TimeoutError") as caught:
        flow.send(SLOW)
    assert caught.value.__cause__ is SLOW.cause
    assert caught.value.sent


def test_an_empty_key_is_no_key() -> None:
    """An event is repeatable only with an idempotency key that says something."""
    body = {"type": "custom", "summary": "s"}
    ids = {"mission_id": "m", "run_id": "r"}
    assert call("runs.events.log", body={**body, "idempotency_key": "k"}, **ids).repeatable
    assert not call("runs.events.log", body={**body, "idempotency_key": ""}, **ids).repeatable
    assert not call("runs.events.log", body=body, **ids).repeatable
