"""Make small, plain values plain data at a glance: most of what programs pass around needs no walk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["UNUSUAL", "glance"]

UNUSUAL: Any = object()
"""The answer for whatever is larger, deeper or stranger: walk over it."""

_MOST_PARTS = 16
_LONGEST = 2048
_DEEPEST = 3
_LEAST, _MOST = -(2**63), 2**63 - 1


def glance(value: Any, names: Callable[[str], tuple[str, bool]], text: Callable[[str], str], depth: int = 0) -> Any:
    """Give a small value of plain types redacted, or `UNUSUAL`. Runs no foreign code.

    Args:
        value: the value.
        names: gives a key as it is shown, and whether the value beside it is hidden.
        text: redacts a text.
        depth: how deep the value stands.
    """
    kind = type(value)
    if kind is str:
        return text(value) if len(value) <= _LONGEST and value.isascii() else UNUSUAL
    if value is None or kind is bool or (kind is int and _LEAST <= value <= _MOST):
        return value
    if kind is float:
        return value if value - value == 0 else UNUSUAL
    if kind is dict:
        return _mapping(value, names, text, depth)
    if kind is list or kind is tuple:
        return _sequence(value, names, text, depth)
    return UNUSUAL


def _mapping(
    value: dict[Any, Any], names: Callable[[str], tuple[str, bool]], text: Callable[[str], str], depth: int
) -> Any:
    if len(value) > _MOST_PARTS or depth > _DEEPEST:
        return UNUSUAL
    if ("value" in value and ("name" in value or "key" in value)) or (
        "Value" in value and ("Name" in value or "Key" in value)
    ):
        return UNUSUAL  # whether {"name": ..., "value": ...} hides its value is the walk's business
    shown: dict[str, Any] = {}
    for key, item in value.copy().items():
        if type(key) is not str:
            return UNUSUAL
        name, hidden = names(key)
        if hidden or name in shown:
            return UNUSUAL
        if type(item) is str and len(item) <= _LONGEST and item.isascii():
            shown[name] = text(item)
            continue
        part = glance(item, names, text, depth + 1)
        if part is UNUSUAL:
            return UNUSUAL
        shown[name] = part
    return shown


def _sequence(
    value: list[Any] | tuple[Any, ...],
    names: Callable[[str], tuple[str, bool]],
    text: Callable[[str], str],
    depth: int,
) -> Any:
    if len(value) > _MOST_PARTS or depth > _DEEPEST:
        return UNUSUAL
    if len(value) == 2 and type(value[0]) is str and names(value[0])[1]:
        return UNUSUAL
    shown: list[Any] = []
    for item in list(value):
        if type(item) is str and item[:1] == "-":
            return UNUSUAL
        part = glance(item, names, text, depth + 1)
        if part is UNUSUAL:
            return UNUSUAL
        shown.append(part)
    return shown
