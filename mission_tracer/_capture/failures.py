"""Say what an exception is: its type, its words, where it came from, and what caused it; never local variables."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mission_tracer._base.endings import members
from mission_tracer._capture.plain import type_name
from mission_tracer._redact.redaction import is_control_flow

if TYPE_CHECKING:
    from types import FrameType, TracebackType

__all__ = ["described", "words"]

Say = Callable[[str, int], str]
"""`(text, most characters) -> redacted and bounded text`."""

_MOST_FAILURES = 8
_MOST_MEMBERS = 5
_MOST_NOTES = 5
_NOTE = 500
_FIRST_FRAMES = 5
_LAST_FRAMES = 25
_OURS = __name__.partition(".")[0] + "."


def words(error: BaseException) -> str:
    """Give an exception's own words; if asking raises, say so instead."""
    try:
        said = str(error)
    except BaseException as trouble:
        if is_control_flow(trouble):
            raise
        return f"<unreadable: {type_name(type(trouble))}>"
    return str.__str__(said)


def described(error: BaseException, say: Say, *, most: int) -> dict[str, Any]:
    """Describe an exception with its causes, notes and (for a group) members, eight exceptions altogether.

    Args:
        error: the exception.
        say: redacts and bounds a text.
        most: characters of its traceback; a cause's is half as long.
    """
    return _described(error, say, most, {})


def _described(error: BaseException, say: Say, most: int, seen: dict[int, BaseException]) -> dict[str, Any]:
    seen[id(error)] = error
    kind, said = type_name(type(error)), words(error)
    told: dict[str, Any] = {"type": say(kind, 200), "message": say(said, most // 4)}
    frames = _lines(error.__traceback__)
    # One text, so that a secret that a line break parts from its name is still seen beside it.
    told["traceback"] = say("\n".join([*frames, f"{kind}: {said}" if said else kind]), most)
    notes = getattr(error, "__notes__", None)
    if isinstance(notes, list) and notes:
        told["notes"] = [say(note, _NOTE) for note in notes[:_MOST_NOTES] if isinstance(note, str)]
    behind, relation = error.__cause__, "cause"
    if behind is None and not error.__suppress_context__:
        behind, relation = error.__context__, "context"
    if behind is not None and id(behind) not in seen and len(seen) < _MOST_FAILURES:
        told[relation] = _described(behind, say, most // 2, seen)
    together = members(error)
    if together:
        # Describing one member fills `seen` before the next is looked at.
        shown: list[Any] = [
            _described(member, say, most // 2, seen)
            for member in together[:_MOST_MEMBERS]
            if id(member) not in seen and len(seen) < _MOST_FAILURES
        ]
        told["exceptions"] = shown
        if len(together) > len(shown):
            shown.append(f"... {len(together) - len(shown)} more")
    return told


def _lines(trace: TracebackType | None) -> list[str]:
    frames = list(_walked(trace))
    # The recorder's own frames tell a reader nothing about the program.
    frames = [frame for frame in frames if not _is_ours(frame[0])] or frames
    if not frames:
        return []
    left_out = len(frames) - _FIRST_FRAMES - _LAST_FRAMES
    lines = ["Traceback (most recent call last):"]
    if left_out > 0:
        lines += _written(frames[:_FIRST_FRAMES])
        lines.append(f"  ... {left_out} more frames ...")
        frames = frames[-_LAST_FRAMES:]
    return lines + _written(frames)


def _walked(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    return isinstance(name, str) and name.startswith(_OURS)


def _written(frames: list[tuple[FrameType, int]]) -> list[str]:
    stack = traceback.StackSummary.extract(iter(frames), capture_locals=False)
    return [line.rstrip("\n") for line in stack.format()]
