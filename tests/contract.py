"""Hold any traffic against the API's contract, kept as facts in `data/contract.json`; no code of ours is used.

`check_request` and `check_answer` take what was on the wire and raise AssertionError with the place of the fault.
"""

import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

CONTRACT: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "contract.json").read_text())
OPERATIONS: list[dict[str, Any]] = CONTRACT["operations"]
SCHEMAS: dict[str, dict[str, Any]] = CONTRACT["schemas"]

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_MOST_PER_PAGE = 1000


def operation(method: str, path: str) -> dict[str, Any]:
    """Find the operation a request is for; what stands before `/ai/missions` does not matter."""
    route = urlsplit(path).path
    at = route.find("/ai/missions")
    assert at >= 0, f"{method} {path}: not a path of the API"
    fits = [row for row in OPERATIONS if row["method"] == method and _pattern(row["path"]).fullmatch(route[at:])]
    assert fits, f"{method} {path}: no such operation"
    return min(fits, key=lambda row: row["path"].count("{"))  # /events and /runs win over /{mission_id}


def check_request(method: str, path: str, body: object = None) -> dict[str, Any]:
    """Check a request that is meant to succeed; give its operation.

    Args:
        method: the HTTP method.
        path: the path with its query.
        body: decoded JSON, or the bytes; None and b"" for none.
    """
    row = operation(method, path)
    where = f"{method} {path}"
    route, query = urlsplit(path).path, urlsplit(path).query
    ids = _pattern(row["path"]).fullmatch(route[route.find("/ai/missions") :])
    assert ids
    for name, kind in row["ids"].items():
        _check(unquote(ids[name]), kind, f"{where}: {name}")
    for name, value in parse_qsl(query, keep_blank_values=True):
        assert name in row["query"], f"{where}: no parameter {name!r}"
        if row["query"][name] == "integer":
            assert re.fullmatch("0*[1-9][0-9]*", value), f"{where}: {name} must be 1 or more"
        if name == "page[size]":
            assert int(value) <= _MOST_PER_PAGE, f"{where}: {name} must be at most {_MOST_PER_PAGE}"
    content = _decoded(body, where)
    if row["request"]:
        assert content is not _NOTHING or not row["request_required"], f"{where}: a body is required"
        if content is not _NOTHING:
            _check(content, row["request"], where)
    elif method in {"GET", "DELETE"}:
        assert content is _NOTHING, f"{where}: takes no body"
    return row


def check_answer(method: str, path: str, status: int, body: object = None) -> dict[str, Any]:
    """Check an answer: a success as its operation declares it, a refusal as one of the two shapes; give the operation.

    Args:
        method: the request's method.
        path: the request's path.
        status: the HTTP status.
        body: decoded JSON, or the bytes; None and b"" for none.
    """
    row = operation(method, path)
    where = f"{status} to {method} {path}"
    content = _decoded(body, where)
    if status >= 400:
        _check_refusal(status, content, where)
        return row
    assert status == row["status"], f"{where}: {row['status']} is declared"
    if status == 204:
        assert content is _NOTHING, f"{where}: has a body"
    elif row["answer"]:
        _check(content, row["answer"], where)
    else:
        assert content is not _NOTHING, f"{where}: has no body"
    return row


def sample(schema: str, *, optional: bool = True) -> Any:
    """Make a value of a schema.

    Args:
        schema: its name, or a type's word such as `integer`.
        optional: whether optional fields are there.
    """
    if schema.startswith("["):
        return [sample(schema[1:-1], optional=optional)]
    rules = SCHEMAS.get(schema)
    if rules is None:
        return _SAMPLES[schema.partition("|")[0]]
    if "enum" in rules:
        return rules["enum"][0]
    fields = {**rules["required"], **(rules["optional"] if optional else {})}
    return {name: sample(kind, optional=optional) for name, kind in fields.items()}


_NOTHING = object()

_SAMPLES: dict[str, Any] = {
    "string": "text",
    "uuid": "7d0c6b1e-3f7a-4a56-9d6e-2b9f5f0c1a11",
    "date-time": "2026-11-07T05:31:56.123456Z",
    "integer": 1,
    "object": {"a": {"b": [1, None, "ü"]}},
}

_KINDS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "uuid": lambda value: isinstance(value, str) and _is_uuid(value),
    "date-time": lambda value: isinstance(value, str) and _TIME.fullmatch(value) is not None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
}


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)))


def _decoded(body: object, where: str) -> object:
    if body is None or body == b"":
        return _NOTHING
    if not isinstance(body, bytes):
        return body
    try:
        return json.loads(body)
    except ValueError as error:
        raise AssertionError(f"{where}: the body is no JSON: {error}") from None


def _check(value: Any, kind: str, where: str) -> None:
    """Check a value against a type's word: a schema, `[items]`, `a|b`, or a plain type."""
    if kind.startswith("["):
        assert isinstance(value, list), f"{where}: must be an array, is {value!r}"
        for number, item in enumerate(value):
            _check(item, kind[1:-1], f"{where}[{number}]")
    elif kind in SCHEMAS:
        _check_schema(value, kind, where)
    else:
        assert any(_KINDS[word](value) for word in kind.split("|")), f"{where}: must be {kind}, is {value!r}"


def _check_schema(value: Any, name: str, where: str) -> None:
    rules = SCHEMAS[name]
    if "enum" in rules:
        assert value in rules["enum"], f"{where}: {value!r} is no {name}"
        return
    assert isinstance(value, dict), f"{where}: must be a {name}, is {value!r}"
    missing = rules["required"].keys() - value.keys()
    assert not missing, f"{where}: {name} lacks {sorted(missing)}"
    fields = {**rules["required"], **rules["optional"]}
    unknown = value.keys() - fields.keys()
    assert not unknown, f"{where}: {name} has no {sorted(unknown)}"
    for field, content in value.items():
        _check(content, fields[field], f"{where}.{field}")


def _check_refusal(status: int, content: Any, where: str) -> None:
    assert isinstance(content, dict), f"{where}: a refusal is an object, is {content!r}"
    if status != 422 and isinstance(content.get("detail"), str):
        return
    if status == 422 or "detail" in content:
        _check(content, "HTTPValidationError", where)
        assert content.get("detail"), f"{where}: names no fault"
        return
    faults = content.get("errors")
    assert isinstance(faults, list), f"{where}: neither `detail` nor `errors`"
    assert faults, f"{where}: names no fault"
    for fault in faults:
        assert isinstance(fault, dict), f"{where}: an error is an object"
        for member in ("code", "title", "detail"):
            assert isinstance(fault.get(member, ""), str), f"{where}: {member} must be a string"


def _is_uuid(value: str) -> bool:
    try:
        return str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False
