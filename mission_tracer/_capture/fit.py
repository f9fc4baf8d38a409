"""Cut plain data until its JSON fits a number of bytes, telling what was cut. Pure."""

from __future__ import annotations

import re
from typing import Any

import msgspec

__all__ = ["fit"]

encode = msgspec.json.encode

_MORE = "..."
_TOLD = re.compile(r"(?:\.\.\. )?([0-9]{1,15}) more")
_CUT = re.compile(r" \.\.\. ([0-9]{1,15}) characters cut \.\.\. ")
# Bytes for a marker of either kind.
_MARKER = 40
_BRACKETS = 2
# What a part may keep before others are left out for it, in bytes or as a part of the whole: of a list, the first
# sixteen whole say more than all of them mangled; of a dict, the keys matter most.
_LEAST = 64
_LIST_PARTS = 16
_DICT_PARTS = 64


def fit(data: Any, max_bytes: int) -> Any:
    """Give the data back, or as much of it as fits; no part is cut before larger ones beside it.

    Texts keep their begin and end, containers their first parts, and both say what is missing.

    Args:
        data: what `msgspec.json.encode` takes: dicts with text keys, lists, texts, numbers, booleans, None.
        max_bytes: the most bytes of JSON, 32 or more.
    """
    room = max_bytes
    while room >= _LEAST // 2:
        if len(encode(data)) <= max_bytes:
            return data
        data = _shrunk(data, room)
        room = room * 3 // 4
    if len(encode(data)) <= max_bytes:
        return data
    return {_MORE: "cut"} if isinstance(data, dict) else [_MORE] if isinstance(data, list) else _MORE


def _shrunk(data: Any, room: int) -> Any:
    if len(encode(data)) <= room:
        return data
    kind = type(data)
    if kind is str:
        return _shrunk_text(data, room)
    if kind is list:
        return _shrunk_list(data, room)
    return _shrunk_dict(data, room) if kind is dict else data


def _shrunk_text(text: str, room: int) -> str:
    size = len(encode(text))
    before = _CUT.search(text)
    missing = int(before[1]) - len(before[0]) if before else 0
    keep = max(0, room - _MARKER) * len(text) // size
    while keep > 0:
        tail = keep // 3
        cut = f"{text[: keep - tail]} ... {len(text) - keep + missing} characters cut ... {text[len(text) - tail :]}"
        if len(encode(cut)) <= room:
            return cut
        keep = keep * 3 // 4
    return f"{_MORE} {len(text) + missing} characters cut {_MORE}"


def _shrunk_list(items: list[Any], room: int) -> list[Any]:
    missing = 0
    if items and type(items[-1]) is str and (told := _TOLD.fullmatch(items[-1])) is not None:
        missing = int(told[1])
        items = items[:-1]
    room -= _BRACKETS + _MARKER
    sizes = [len(encode(item)) + 1 for item in items]
    kept = _how_many(sizes, [0] * len(sizes), room, max(_LEAST, room // _LIST_PARTS))
    share = _share(sizes[:kept], room)
    shown = [item if size <= share else _shrunk(item, share) for item, size in zip(items[:kept], sizes, strict=False)]
    if kept < len(items) or missing:
        shown.append(f"{_MORE} {len(items) - kept + missing} more")
    return shown


def _shrunk_dict(data: dict[str, Any], room: int) -> dict[str, Any]:
    missing = 0
    pairs = list(data.items())
    if pairs and pairs[-1][0] == _MORE and (told := _TOLD.fullmatch(str(pairs[-1][1]))) is not None:
        missing = int(told[1])
        pairs.pop()
    room -= _BRACKETS + _MARKER
    sizes = [len(encode(item)) for _, item in pairs]
    keys = [len(encode(key)) + 2 for key, _ in pairs]
    kept = _how_many(sizes, keys, room, max(_LEAST, room // _DICT_PARTS))
    share = _share(sizes[:kept], room - sum(keys[:kept]))
    shown = {
        key: item if size <= share else _shrunk(item, share)
        for (key, item), size in zip(pairs[:kept], sizes, strict=False)
    }
    if kept < len(pairs) or missing:
        shown[_MORE] = f"{len(pairs) - kept + missing} more"
    return shown


def _how_many(sizes: list[int], extra: list[int], room: int, least: int) -> int:
    """Count the first parts that fit if each one larger than the least is cut to that."""
    for kept, (size, more) in enumerate(zip(sizes, extra, strict=True)):
        room -= min(size, least) + more
        if room < 0:
            return kept
    return len(sizes)


def _share(sizes: list[int], room: int) -> int:
    """Find the size to which the largest parts are cut so that all fit, the smaller ones whole."""
    left = len(sizes)
    for size in sorted(sizes):
        if size * left > room:
            return max(room // left, 0)
        room -= size
        left -= 1
    return max(sizes, default=0)
