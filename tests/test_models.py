"""The schemas as types: exactly the contract's, strict about what is sent, lenient about what is read."""

import inspect
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any

import msgspec
import pytest

from mission_tracer import models
from mission_tracer.models import (
    CreateEventRequest,
    CreateMissionRequest,
    EventData,
    EventType,
    MissionData,
    MissionRunData,
    RunStatus,
)
from tests import contract

UTC = timezone.utc
DEFINED = {
    name: cls
    for name, cls in vars(models).items()
    if inspect.isclass(cls) and cls.__module__ == models.__name__ and not name.startswith("_")
}


def word(kind: Any) -> str:
    """Say a field's type in the contract's words."""
    if isinstance(kind, msgspec.inspect.Metadata):
        return str((kind.extra or {})["enum"].__name__)
    if isinstance(kind, msgspec.inspect.UnionType):
        return "|".join(word(part) for part in kind.types if not isinstance(part, msgspec.inspect.NoneType))
    if isinstance(kind, msgspec.inspect.ListType):
        return f"[{word(kind.item_type)}]"
    if isinstance(kind, (msgspec.inspect.StructType, msgspec.inspect.EnumType)):
        return kind.cls.__name__
    return {"StrType": "string", "IntType": "integer", "DictType": "object", "DateTimeType": "date-time"}[
        type(kind).__name__
    ]


def test_the_schemas_are_the_contracts() -> None:
    """The module defines the 33 schemas and nothing else."""
    assert DEFINED.keys() == contract.SCHEMAS.keys()
    assert len(DEFINED) == 33


@pytest.mark.parametrize("name", [name for name, rules in contract.SCHEMAS.items() if "enum" in rules])
def test_enums_have_the_contracts_values(name: str) -> None:
    """An enum has the contract's values in the contract's order, and reads as its value."""
    enum: Any = DEFINED[name]
    assert issubclass(enum, Enum)
    assert [member.value for member in enum] == contract.SCHEMAS[name]["enum"]
    for member in enum:
        assert str(member) == f"{member}" == member.value == member
        assert msgspec.json.encode(member) == f'"{member.value}"'.encode()
        assert {member.value: 1}[member] == 1


@pytest.mark.parametrize("name", [name for name, rules in contract.SCHEMAS.items() if "required" in rules])
def test_fields_are_the_contracts(name: str) -> None:
    """A schema has the contract's fields with their types, required or not as there."""
    info = msgspec.inspect.type_info(DEFINED[name])
    assert isinstance(info, msgspec.inspect.StructType)
    found: dict[str, dict[str, str]] = {"required": {}, "optional": {}}
    for field in info.fields:
        found["required" if field.required else "optional"][field.encode_name] = word(field.type)
    expected = {
        kind: {field: "string" if of == "uuid" else of for field, of in contract.SCHEMAS[name][kind].items()}
        for kind in found
    }
    assert found == expected


@pytest.mark.parametrize("name", [name for name, rules in contract.SCHEMAS.items() if "required" in rules])
@pytest.mark.parametrize("optional", [True, False])
def test_every_schema_reads_and_writes_its_sample(name: str, optional: bool) -> None:
    """Decoding and encoding a valid object gives the same object, with what was absent still absent."""
    given = contract.sample(name, optional=optional)
    value = msgspec.json.decode(msgspec.json.encode(given), type=DEFINED[name])
    assert msgspec.json.decode(msgspec.json.encode(value)) == given


def test_values_are_frozen_and_keyword_only() -> None:
    """A value cannot be changed, and its fields are given by name."""
    value = CreateMissionRequest(name="x")
    with pytest.raises(AttributeError):
        value.name = "y"  # type: ignore[misc]
    with pytest.raises(TypeError):
        CreateMissionRequest("x")  # type: ignore[call-arg]


def test_requests_are_strict() -> None:
    """Decoding a request refuses a null, an unknown enum value and a missing field."""
    for body in (b'{"type": "note", "summary": "s"}', b'{"type": "custom", "summary": null}', b'{"type": "custom"}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(body, type=CreateEventRequest)
    with pytest.raises(ValueError, match="note"):
        EventType("note")


def event(**changes: Any) -> EventData:
    given = {**contract.sample("EventData", optional=False), **changes}
    return msgspec.json.decode(msgspec.json.encode(given), type=EventData)


def test_answers_take_what_is_new() -> None:
    """Decoding an answer keeps an unknown enum value as text and skips unknown fields."""
    got = event(type="hologram", tools=[{"x": 1}])
    assert got.type == "hologram"
    assert got.type != EventType.CUSTOM
    assert event(type="custom").type == EventType.CUSTOM
    run = msgspec.convert({**contract.sample("MissionRunData"), "status": "archived"}, MissionRunData)
    assert run.status == "archived"
    assert run.status not in set(RunStatus)


def test_answers_take_null_for_absent() -> None:
    """Decoding an answer reads null as absent for every optional field, and refuses it for a required one."""
    for name in ("MissionData", "MissionRunData", "PlanStepData", "EventData"):
        given = {**contract.sample(name), **dict.fromkeys(contract.SCHEMAS[name]["optional"])}
        value = msgspec.convert(given, DEFINED[name])
        assert value == msgspec.convert(contract.sample(name, optional=False), DEFINED[name])
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**contract.sample("MissionData"), "name": None}, MissionData)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-07T05:31:56Z", datetime(2026, 11, 7, 5, 31, 56, tzinfo=UTC)),
        ("2026-11-07T05:31:56+00:00", datetime(2026, 11, 7, 5, 31, 56, tzinfo=UTC)),
        ("2026-11-07T07:31:56.5+02:00", datetime(2026, 11, 7, 7, 31, 56, 500_000, timezone(timedelta(hours=2)))),
        ("2026-11-07T05:31:56.123456Z", datetime(2026, 11, 7, 5, 31, 56, 123_456, UTC)),
        ("2026-11-07T05:31:56", datetime(2026, 11, 7, 5, 31, 56, tzinfo=UTC)),
        ("2026-11-07T05:31:56.123", datetime(2026, 11, 7, 5, 31, 56, 123_000, UTC)),
        ("2026-11-07 05:31:56z", datetime(2026, 11, 7, 5, 31, 56, tzinfo=UTC)),
    ],
)
def test_times_of_answers_are_aware(text: str, moment: datetime) -> None:
    """Decoding a time in any of its forms gives an aware one; without an offset it is UTC."""
    got = event(timestamp=text).timestamp
    assert got == moment
    assert got.utcoffset() is not None
