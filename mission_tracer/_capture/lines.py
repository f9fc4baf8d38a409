"""Say in one line what is captured already. Pure."""

from __future__ import annotations

from typing import Any

from mission_tracer._capture.walk import MORE

__all__ = ["line", "listed", "summarized"]

_SUMMARY_ITEMS = 5
_LOOKED_AT = 4  # times as many characters as are shown: blanks are left out


def line(text: str, most: int) -> str:
    """Put a text on one line of so many characters, with single blanks."""
    longer = len(text) > _LOOKED_AT * most
    if longer:
        text = text[: _LOOKED_AT * most]
    if "  " in text or not text.isprintable() or text.strip() is not text:
        text = " ".join(text.split())
    return text if len(text) <= most and not longer else f"{text[: max(most - 3, 0)]}..."


def listed(arguments: dict[str, Any], most: int) -> str:
    """Say arguments as a call names them: `city='Chicago', count=3`."""
    parts, length = [], 0
    for name, value in arguments.items():
        parts.append(f"{name}={value!r}")
        length += len(parts[-1])
        if length > most:
            break
    return line(", ".join(parts), most)


def summarized(data: Any) -> str:
    """Say a result: `best: ABC Cleaning, quote: 350` for a mapping, `3 items: a, b, c` for a list."""
    if isinstance(data, dict):
        return ", ".join(
            f"{_short(item)} fields" if name == MORE else f"{name}: {_short(item)}" for name, item in data.items()
        )
    if isinstance(data, list):
        count = len(data)
        last = data[-1] if data else None
        if isinstance(last, str) and last.startswith(f"{MORE} ") and last.endswith(" more"):
            count += int(last.split()[1]) - 1
        shown = ", ".join(_short(item) for item in data[:_SUMMARY_ITEMS])
        return f"{count} item{'' if count == 1 else 's'}" + (f": {shown}" if shown else "")
    return _short(data)


def _short(data: Any) -> str:
    """Say a part of a result in a few words."""
    if isinstance(data, str):
        return data
    if isinstance(data, list):
        return f"{len(data)} item{'' if len(data) == 1 else 's'}"
    if isinstance(data, dict):
        return f"{len(data)} field{'' if len(data) == 1 else 's'}"
    return "none" if data is None else str(data).lower() if isinstance(data, bool) else str(data)
