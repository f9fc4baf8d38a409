"""The operations as data: the contract's, built and read without I/O."""

import re
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mission_tracer import errors
from mission_tracer._api.endpoints import MAX_RETRY_AFTER, OPERATIONS, Operation, Request, build, parse, retry_after
from mission_tracer.models import CreateEventRequest, CreateMissionRequest, EventType, MissionData, MissionsListResponse
from tests import contract

LOG = OPERATIONS["missions.runs.events.log"]
IDS = {"mission_id": "m", "run_id": "r"}
NOON = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


def test_the_operations_are_the_contracts() -> None:
    """The table holds the contract's 41 operations, each with its ids, parameters, types and status."""
    assert len(OPERATIONS) == 41
    assert all(name == row.name for name, row in OPERATIONS.items())
    found = {
        (row.method, row.path): (
            row.status,
            list(row.params),
            set(row.query),
            row.request and row.request.__name__,
            row.answer and row.answer.__name__,
        )
        for row in OPERATIONS.values()
    }
    assert found == {
        (o["method"], o["path"]): (o["status"], list(o["ids"]), set(o["query"]), o["request"], o["answer"])
        for o in contract.OPERATIONS
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_builds_what_the_contract_takes(name: str) -> None:
    """Building an operation with the least it needs gives a request that the contract allows."""
    row = OPERATIONS[name]
    body: Any = msgspec.UNSET
    if row.request:
        body = contract.sample(row.request.__name__, optional=False)
    request = build(row, dict.fromkeys(row.params, "7d0c6b1e-3f7a-4a56-9d6e-2b9f5f0c1a11"), body=body)
    found = contract.check_request(request.method, request.target, request.content)
    assert (found["method"], found["path"]) == (row.method, row.path)


@given(id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text not in {".", ".."}))
@example(id="../../v2/ai")
@example(id="a?b=c#d%2F")
def test_an_id_is_one_segment(id: str) -> None:
    """Any id becomes exactly one percent-encoded segment, from which it can be read again."""
    request = build(OPERATIONS["missions.tools.retrieve"], {"mission_id": "m", "tool_id": id})
    found = re.fullmatch(r"/ai/missions/m/tools/([A-Za-z0-9_.~%-]+)", request.path)
    assert found
    assert found[1] not in {".", ".."}
    assert unquote(found[1]) == id


@pytest.mark.parametrize("id", ["", ".", "..", "\ud800"])
def test_an_id_that_cannot_be_a_segment_is_refused(id: str) -> None:
    """Building with an id that is empty, a dot segment or no text raises ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 - two kinds, with the words of two libraries
        build(OPERATIONS["missions.retrieve"], {"mission_id": id})


@pytest.mark.parametrize("id", [None, 7, b"m"])
def test_an_id_must_be_a_string(id: Any) -> None:
    """Building with an id that is no string raises TypeError that names it."""
    with pytest.raises(TypeError, match="mission_id must be a string"):
        build(OPERATIONS["missions.retrieve"], {"mission_id": id})


@pytest.mark.parametrize("ids", [{}, {"mission_id": "m", "run_id": "r"}])
def test_ids_must_be_those_of_the_path(ids: dict[str, str]) -> None:
    """Building with too few or too many ids raises ValueError that names the right ones."""
    with pytest.raises(ValueError, match="mission_id"):
        build(OPERATIONS["missions.retrieve"], ids)


def test_parameters_are_encoded_and_checked() -> None:
    """Query parameters are percent-encoded, those that are None are left out, unknown ones are refused."""
    row = OPERATIONS["missions.runs.list_runs"]
    request = build(row, query={"status": "a&b", "page[size]": 5, "page[number]": None})
    assert request == Request("GET", "/ai/missions/runs", "status=a%26b&page%5Bsize%5D=5", None)
    assert request.target == "/ai/missions/runs?status=a%26b&page%5Bsize%5D=5"
    assert build(row).target == "/ai/missions/runs"
    with pytest.raises(ValueError, match="'page'"):
        build(row, query={"page": 1})


@pytest.mark.parametrize(
    "body",
    [
        CreateEventRequest(type=EventType.CUSTOM, summary="s"),
        {"type": "custom", "summary": "s"},
        {"type": EventType.CUSTOM, "summary": "s"},
        b'{"type":"custom","summary":"s"}',
        msgspec.Raw(b'{"type":"custom","summary":"s"}'),
    ],
)
def test_a_body_may_be_given_in_every_form(body: Any) -> None:
    """A body may be a Struct, a mapping, or JSON already encoded."""
    assert build(LOG, IDS, body=body).content == b'{"type":"custom","summary":"s"}'


def test_encoded_bodies_are_sent_as_they_are() -> None:
    """Bytes are passed on untouched: neither checked nor copied."""
    body = b'{"unchecked": '
    assert build(LOG, IDS, body=body).content is body


def test_mappings_are_checked_and_sent_whole() -> None:
    """A mapping is refused at the wrong field, and otherwise sent with all its fields."""
    with pytest.raises(ValueError, match=r"missions.runs.events.log: .*summary"):
        build(LOG, IDS, body={"type": "custom"})
    with pytest.raises(ValueError, match=r"'note' - at `\$.type`"):
        build(LOG, IDS, body={"type": "note", "summary": "s"})
    sent = build(LOG, IDS, body={"type": "custom", "summary": "s", "more": [1]}).content
    assert sent == b'{"type":"custom","summary":"s","more":[1]}'


@pytest.mark.parametrize("body", [CreateMissionRequest(name="x"), [], "text", None])
def test_a_body_of_the_wrong_kind_is_refused(body: Any) -> None:
    """A body that is neither the operation's Struct nor a mapping nor encoded raises TypeError."""
    with pytest.raises(TypeError, match="CreateEventRequest"):
        build(LOG, IDS, body=body)


def test_a_body_left_out_is_an_empty_object_or_nothing() -> None:
    """Without a body an operation that declares one sends `{}`, if that is valid, and another sends nothing."""
    assert build(OPERATIONS["missions.runs.create"], {"mission_id": "m"}).content == b"{}"
    assert build(OPERATIONS["missions.clone"], {"mission_id": "m"}).content is None
    with pytest.raises(ValueError, match="name"):
        build(OPERATIONS["missions.create"])


@pytest.mark.parametrize("body", [{"a": 1}, [1], "x", None, 0])
def test_an_undeclared_body_is_any_json(body: Any) -> None:
    """An operation without a declared body takes anything JSON."""
    content = build(OPERATIONS["missions.tools.create"], {"mission_id": "m"}, body=body).content
    assert content is not None
    assert msgspec.json.decode(content) == body


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_reads_its_declared_answer(name: str) -> None:
    """Parsing a declared answer gives its data, a page, any JSON, or None."""
    row = OPERATIONS[name]
    body = contract.sample(row.answer.__name__) if row.answer else {"any": 1}
    got = parse(row, row.status, {}, b"" if row.status == 204 else msgspec.json.encode(body), now=0)
    expected: Any = msgspec.convert(body, row.answer) if row.answer else body
    if row.status == 204:
        assert got is None
    else:
        assert got == (expected.data if row.unwrap else expected)


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_success_is_a_success(status: int) -> None:
    """Parsing takes any 2xx for the declared one, and a body where none is declared."""
    body = msgspec.json.encode({"data": contract.sample("MissionData")})
    assert isinstance(parse(OPERATIONS["missions.create"], status, {}, body, now=0), MissionData)
    assert parse(OPERATIONS["missions.delete"], status, {}, body, now=0) is None
    assert parse(OPERATIONS["missions.clone"], status, {}, b"", now=0) is None


def test_a_page_keeps_its_meta() -> None:
    """Parsing a list gives data and meta."""
    body = msgspec.json.encode(contract.sample("MissionsListResponse"))
    page = parse(OPERATIONS["missions.list"], 200, {}, body, now=0)
    assert isinstance(page, MissionsListResponse)
    assert page.meta.page_number == 1


@pytest.mark.parametrize("body", [b"", b" ", b"{", b"{}", b"[]", b"null", b"<html>", b"\xff", b'{"data":{}}'])
def test_an_unusable_success_is_an_error(body: bytes) -> None:
    """Parsing a success without usable data raises APIResponseError that shows the body."""
    with pytest.raises(errors.APIResponseError) as caught:
        parse(OPERATIONS["missions.retrieve"], 200, {}, body, now=0)
    assert caught.value.request == ("GET", "/ai/missions/{mission_id}")
    assert caught.value.body == body.decode("utf-8", "replace").strip()


def test_a_refusal_is_the_error_of_its_status() -> None:
    """Parsing a refusal raises its error with all that the server said."""
    headers = {"content-type": "application/json", "x-request-id": "q", "retry-after": "2"}
    line = errors.RequestLine("GET", "http://x")
    with pytest.raises(errors.ConflictError, match="busy") as caught:
        parse(OPERATIONS["missions.retrieve"], 409, headers, b'{"detail": "busy"}', now=0, request=line)
    found = caught.value
    assert (found.request, found.body, found.request_id, found.retry_after) == (line, {"detail": "busy"}, "q", 2.0)
    for body, kept in ((b"", None), (b"no json", "no json")):
        with pytest.raises(errors.InternalServerError) as caught_:
            parse(OPERATIONS["missions.retrieve"], 500, {}, body, now=0)
        assert caught_.value.body == kept


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "9" * 200}, MAX_RETRY_AFTER),
        ({"retry-after": "9" * 5000}, MAX_RETRY_AFTER),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:10 GMT"}, 10.0),
        ({"retry-after": "Wed, 21 Oct 2015 09:28:10 +0200"}, 10.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:27:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}, MAX_RETRY_AFTER),
        ({"retry-after": "Wed, 99 Oct 2015 07:28:00 GMT"}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    """`retry_after` reads milliseconds, seconds and dates, bounds them, and ignores what is past or unreadable."""
    assert retry_after(headers, NOON) == seconds


@given(st.text())
def test_retry_after_never_raises(text: str) -> None:
    """Whatever the header holds, the answer is None or a wait within its bounds."""
    seconds = retry_after({"retry-after": text, "retry-after-ms": text}, NOON)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


def test_only_posts_are_not_repeatable() -> None:
    """Every operation but a POST may be sent twice with the effect of once."""
    rows: list[Operation] = list(OPERATIONS.values())
    assert {row.method for row in rows if not row.repeatable} == {"POST"}
    assert {row.method for row in rows if row.repeatable} == {"GET", "PUT", "PATCH", "DELETE"}
