"""Turn what came over the wire into typed values, and name every fault as FastAPI does."""

from __future__ import annotations

import re
import uuid
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from mission_tracer.server.answers import InvalidError, fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mission_tracer.models import ValidationError

MAX_PAGE_SIZE = 1000
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_WORDS: Mapping[type[inspect.Type], tuple[type, str, str]] = {
    inspect.StrType: (str, "string_type", "Input should be a valid string"),
    inspect.IntType: (int, "int_type", "Input should be a valid integer"),
    inspect.DictType: (dict, "dict_type", "Input should be a valid dictionary"),
    inspect.ListType: (list, "list_type", "Input should be a valid list"),
}


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@cache
def _shape(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def decode(body: bytes, kind: Any, *, forbid_unknown: bool = False) -> Any:
    """Return the body as `kind`.

    Args:
        body: JSON; the content type does not matter.
        kind: a request of `mission_tracer.models`.
        forbid_unknown: refuse fields that the request does not have.

    Raises:
        InvalidError: no body, no JSON, or the wrong fields; every fault of it is named.
    """
    if not body:
        raise InvalidError(fault(["body"], "Field required", "missing"))
    if not forbid_unknown:
        try:
            return _decoder(kind).decode(body)
        except (ValueError, RecursionError):
            pass  # the slow way below names what is wrong
    value = decode_any(body)
    faults = _faults(value, _shape(kind), ["body"], forbid_unknown=forbid_unknown)
    if faults:
        raise InvalidError(*faults)
    return msgspec.convert(value, kind)


def decode_any(body: bytes) -> Any:
    """Return the body as plain values.

    Raises:
        InvalidError: it is no JSON.
    """
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise InvalidError(fault(["body"], f"JSON decode error: {error}", "json_invalid")) from None


def _faults(value: Any, shape: inspect.Type, loc: list[str | int], *, forbid_unknown: bool) -> list[ValidationError]:
    """Compare a decoded value with what it should be."""
    if isinstance(shape, inspect.UnionType):  # a value, or nothing at all
        shape = shape.types[0]
    if isinstance(shape, inspect.StructType):
        return _struct_faults(value, shape, loc, forbid_unknown=forbid_unknown)
    if isinstance(shape, inspect.ListType) and isinstance(value, list):
        items = [
            _faults(item, shape.item_type, [*loc, n], forbid_unknown=forbid_unknown) for n, item in enumerate(value)
        ]
        return [one for faults in items for one in faults]
    if isinstance(shape, inspect.EnumType):
        if value in list(shape.cls):
            return []
        *words, last = [repr(str(member)) for member in shape.cls]
        return [fault(loc, f"Input should be {', '.join(words)} or {last}", "enum")]
    right, kind, msg = _WORDS[type(shape)]
    return [] if type(value) is right else [fault(loc, msg, kind)]


def _struct_faults(
    value: Any, shape: inspect.StructType, loc: list[str | int], *, forbid_unknown: bool
) -> list[ValidationError]:
    if not isinstance(value, dict):
        msg = "Input should be a valid dictionary or object to extract fields from"
        return [fault(loc, msg, "model_attributes_type")]
    faults = []
    for field in shape.fields:
        where = [*loc, field.encode_name]
        if field.encode_name in value:
            faults += _faults(value[field.encode_name], field.type, where, forbid_unknown=forbid_unknown)
        elif field.required:
            faults.append(fault(where, "Field required", "missing"))
    if forbid_unknown:
        unknown = value.keys() - {field.encode_name for field in shape.fields}
        faults += [fault([*loc, name], "Extra inputs are not permitted", "extra_forbidden") for name in sorted(unknown)]
    return faults


def page_of(query: Mapping[str, str], *, default_size: int) -> tuple[int, int]:
    """Return the page's number and size that a query asks for.

    Raises:
        InvalidError: not integers, a number below 1, or a size outside 1..1000.
    """
    faults: list[ValidationError] = []
    number = _integer(query, "page[number]", 1, faults)
    size = _integer(query, "page[size]", default_size, faults)
    if number < 1:
        faults.append(
            fault(["query", "page[number]"], "Input should be greater than or equal to 1", "greater_than_equal")
        )
    if size < 1:
        faults.append(fault(["query", "page[size]"], "Input should be greater than 0", "greater_than"))
    if size > MAX_PAGE_SIZE:
        msg = f"Input should be less than or equal to {MAX_PAGE_SIZE}"
        faults.append(fault(["query", "page[size]"], msg, "less_than_equal"))
    if faults:
        raise InvalidError(*faults)
    return number, size


def _integer(query: Mapping[str, str], name: str, default: int, faults: list[ValidationError]) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not _INTEGER.fullmatch(text):
        msg = "Input should be a valid integer, unable to parse string as an integer"
        faults.append(fault(["query", name], msg, "int_parsing"))
        return default
    return int(text)


def is_uuid(text: str) -> bool:
    """Tell whether the text is a UUID in any of its spellings."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
