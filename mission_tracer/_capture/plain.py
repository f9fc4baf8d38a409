"""The plain values that everything is made into, and the names of types. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Fields", "Items", "Line", "integer", "real", "type_name"]

_NAME = type.__dict__["__qualname__"].__get__
_MODULE = type.__dict__["__module__"].__get__
_LONGEST_TYPE_NAME = 200
_LEAST, _MOST = -(2**63), 2**63 - 1
# Python refuses to write integers of more digits than its limit, 640 at the least: 2,048 bits have 617.
_MOST_BITS = 2048
_DIGITS_PER_BIT = 0.30103


class Fields(NamedTuple):
    """What has named parts: those that are shown, and how many there are (None: all are shown)."""

    pairs: list[tuple[Any, Any]]
    total: int | None = None


class Items(NamedTuple):
    """What has parts in a row: those that are shown, and how many there are."""

    values: list[Any]
    total: int


class Line(NamedTuple):
    """A text that was made from an object; memory addresses in it mean nothing to a reader."""

    text: str


def integer(value: int) -> int | str:
    """Keep an integer that fits 64 bits; write a longer one as text, and of an enormous one only its length."""
    if _LEAST <= value <= _MOST:
        return value
    bits = value.bit_length()
    return str(value) if bits <= _MOST_BITS else f"<int, about {int(bits * _DIGITS_PER_BIT) + 1} digits>"


def real(value: float) -> float | str:
    """Keep a finite number; JSON has no other, so those become `NaN`, `Infinity` and `-Infinity`."""
    if value - value == 0:
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124 - only NaN differs from itself


def type_name(kind: type) -> str:
    """Name a type as code would: with its module unless that is `builtins` or `__main__`. Runs no foreign code."""
    name: str = _NAME(kind)
    module = _MODULE(kind)
    if type(module) is str and module not in {"builtins", "__main__"}:
        name = f"{module}.{name.rpartition('<locals>.')[2]}"
    else:
        name = name.rpartition("<locals>.")[2]
    return name if len(name) <= _LONGEST_TYPE_NAME else f"{name[:_LONGEST_TYPE_NAME]}..."
