"""The error tree and the one line that explains a refusal."""

import copy
import inspect
import json
import pickle
import re
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_tracer import errors
from mission_tracer.errors import LINE_LIMIT, APIStatusError, RequestLine, error_for, excerpt, explain

LINE = RequestLine("GET", "https://api.telnyx.com/v2/ai/missions/m")
JSON = "application/json"
UNPROCESSABLE = f"422 {HTTPStatus(422).phrase}"  # Python 3.13 calls it otherwise


def test_the_tree_is_the_one_drawn() -> None:
    """Every error class stands in the module's drawing, below its parent, and nothing else does."""
    drawn: list[tuple[str, int]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"([│├└─ ]*)(\w+Error)\b", line)
        if found:
            drawn.append((found[2], len(found[1]) // 4))
    defined = {
        name: cls
        for name, cls in vars(errors).items()
        if inspect.isclass(cls) and issubclass(cls, Exception) and cls.__module__ == errors.__name__
    }
    assert sorted(name for name, _ in drawn) == sorted(defined)
    path: list[str] = []
    for name, depth in drawn:
        del path[depth:]
        if path:
            assert path[-1] in {base.__name__ for base in defined[name].__bases__}, name
        path.append(name)


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (409, "ConflictError"),
        (413, "PayloadTooLargeError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (599, "InternalServerError"),
        (302, "APIStatusError"),
        (418, "APIStatusError"),
    ],
)
def test_a_status_has_its_error(status: int, name: str) -> None:
    """`error_for` gives the class named after a status, and the root of them for any other."""
    assert error_for(status).__name__ == name


def test_a_wrong_setting_is_a_value_error() -> None:
    """ConfigurationError is caught as ValueError and as the package's own error."""
    with pytest.raises(ValueError, match="x") as caught:
        raise errors.ConfigurationError("x")
    assert isinstance(caught.value, errors.MissionTracerError)


@pytest.mark.parametrize(
    "error",
    [
        errors.APIConnectionError("reset", request=LINE, sent=False),
        errors.APITimeoutError("late", request=LINE),
        errors.APIResponseError("no JSON", request=LINE, status=200, body="<html>"),
        errors.RateLimitError("429", request=LINE, status=429, body={"a": 1}, request_id="r", retry_after=1.5),
    ],
)
@pytest.mark.parametrize("clone", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_survive_copies_and_pickles(error: errors.APIError, clone: Any) -> None:
    """A copied or pickled error (sent between processes) keeps its class, its words and its fields."""
    twin = clone(error)
    assert type(twin) is type(error)
    assert (str(twin), vars(twin)) == (str(error), vars(error))


def test_the_text_of_an_error_names_the_request() -> None:
    """An API error reads as method, URL and what happened."""
    assert str(APIStatusError("418 teapot", request=LINE, status=418)) == f"GET {LINE.url}: 418 teapot"


@pytest.mark.parametrize(
    ("status", "kind", "body", "line"),
    [
        (
            422,
            JSON,
            b'{"detail":[{"loc":["body","steps",0,"sequence"],"msg":"Input should be an integer","type":"int"}]}',
            f"{UNPROCESSABLE}: body.steps.0.sequence: Input should be an integer",
        ),
        (
            422,
            JSON,
            b'{"detail":[{"msg":"a"},{"msg":"b"},{"msg":"c"},{"msg":"d"},{"msg":"e"}]}',
            f"{UNPROCESSABLE}: a; b; c; and 2 more",
        ),
        (404, JSON, b'{"detail":"No such run"}', "404 Not Found: No such run"),
        (
            404,
            JSON,
            (
                b'{"errors":[{"code":"10005","title":"Resource not found","detail":"No run",'
                b'"source":{"pointer":"/run_id"}}]}'
            ),
            "404 Not Found: Resource not found: No run (code 10005, at /run_id)",
        ),
        (429, JSON, b'{"errors":[{"code":"10011"},"words",{}]}', "429 Too Many Requests: code 10011; words"),
        (500, JSON, b'{"message":"boom"}', "500 Internal Server Error: boom"),
        (500, JSON, b'{"detail":{"odd":1}}', '500 Internal Server Error: {"detail":{"odd":1}}'),
        (500, JSON, b'{"errors":[]}', '500 Internal Server Error: {"errors":[]}'),
        (500, JSON, b'{"errors":[{"co', '500 Internal Server Error: not valid JSON, {"errors":[{"co'),
        (500, None, b'"just words"', "500 Internal Server Error: just words"),
        (
            502,
            "text/html; charset=utf-8",
            b"<html><head><TITLE>Bad\n gateway</TITLE>",
            '502 Bad Gateway: an HTML page, "Bad gateway"',
        ),
        (502, None, b"  <!doctype html><p>x", "502 Bad Gateway: an HTML page"),
        (503, "text/plain", b"upstream connect error\r\n", "503 Service Unavailable: upstream connect error"),
        (401, JSON, b" \n", "401 Unauthorized"),
        (599, None, b"", "599 unknown status"),
        (500, JSON, b"\xff\x1b[31mred", "500 Internal Server Error: not valid JSON, � [31mred"),
    ],
)
def test_a_refusal_is_explained_in_its_own_words(status: int, kind: str | None, body: bytes, line: str) -> None:
    """`explain` gives the server's words out of either error shape, a page, text, or what is left of broken JSON."""
    assert explain(status, kind, body) == line


@given(
    status=st.integers(100, 999),
    kind=st.sampled_from([None, "", JSON, "text/html", "TEXT/HTML", "text/plain"]),
    body=st.one_of(
        st.binary(),
        st.text().map(str.encode),
        st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(
            lambda value: json.dumps({"detail": value, "errors": value}).encode()
        ),
    ),
)
def test_any_body_is_explained_in_one_bounded_line(status: int, kind: str | None, body: bytes) -> None:
    """`explain` never raises and never gives more than one printable line of bounded length."""
    for line in (explain(status, kind, body), excerpt(body)):
        assert line.isprintable()
        assert len(line) <= LINE_LIMIT


@pytest.mark.parametrize(
    "body",
    [
        b"x" * 10_000_000,
        b" " * 10_000_000,
        b"[" * 1_000_000,
        b'{"detail":"' + b"\n" * 1_000_000 + b'"}',
        b"<title>" * 100_000,
    ],
)
def test_a_huge_body_is_cut(body: bytes) -> None:
    """`explain` cuts what is long, nested or blank."""
    assert len(explain(500, JSON, body)) <= LINE_LIMIT
