"""Write the events of tools and models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mission_tracer import _context
from mission_tracer._base.endings import is_cancellation
from mission_tracer.integrations._langchain.content import answer_of, plain, tool_result
from mission_tracer.integrations._langchain.tracks import Track
from mission_tracer.integrations._span_events import write_answer
from mission_tracer.integrations._spans import Answer, arguments_of, is_within, split
from mission_tracer.tools import fail_call

_SUMMARY = 500  # characters


def start_tool(track: Track, arguments: Mapping[str, Any], call_id: str | None) -> None:
    """Log `tool_call`, unless that call was logged before the graph stopped in it.

    Args:
        track: The call.
        arguments: What the tool is called with.
        call_id: The id that the model gave to the call; `None`: none, it gets one of ours.
    """
    run, _ = split(track.scope)
    call_id = call_id or _announced(track)
    if run.stream is None:
        track.about = {"tool": track.name, "call_id": call_id}
        return
    capture = run.recorder.capture
    track.about = {"tool": capture.text(track.name), "call_id": call_id or run.stream.name_call()}
    shown = arguments_of(capture, {name: plain(value) for name, value in arguments.items()})
    if track.known is not None:
        track.known.begin(run, track.step_id, track.about["tool"], shown)
    resumed = track.parent.resumption() if track.parent is not None else None
    if resumed is not None and call_id in resumed.calls:
        resumed.calls.remove(call_id)
        return
    said = capture.call(track.about["tool"], shown)
    run.write_event("tool_call", said, {**track.about, "arguments": shown}, track.step_id)


def _announced(track: Track) -> str | None:
    calls = track.parent.announced if track.parent is not None else []
    call = next((call for call in calls if call[0] == track.name), None)
    if call is None:
        return None
    calls.remove(call)
    return call[1]


def end_tool(track: Track, output: Any) -> Any:
    """Log `tool_result`, or `error` when the tool reports one; return what it gave."""
    run, _ = split(track.scope)
    capture = run.recorder.capture
    result, failed = tool_result(output)
    if failed and track.raised is not None:
        fail_tool(track, track.raised)
        return result
    about = {**track.about, "duration_ms": track.duration_ms}
    if failed:
        message = capture.text(result, max_chars=2000)
        # What the tool raised is not told: it is words by now, as the model gets them.
        about["error"] = {"type": "ToolError", "message": message}
        said = capture.text(f"{about['tool']}: {message}", max_chars=_SUMMARY)
        run.write_event("error", said, about, track.step_id)
        return result
    if track.raised is not None:  # and handled before the framework heard of it
        track.note_error(track.raised, tool=about["tool"])
    full = capture.mode == "full"
    if full:
        about["result"] = capture.value(result)
    summary = capture.summary(result) if full else ""
    said = f"{about['tool']}: {summary}" if summary else f"{about['tool']} returned"
    run.write_event("tool_result", capture.text(said, max_chars=_SUMMARY), about, track.step_id)
    return result


def fail_tool(track: Track, error: BaseException) -> None:
    """Log `error` for a call of a tool: what it raised, or that it was cancelled."""
    if is_cancellation(error):
        cancel_tool(track)
    else:
        run, _ = split(track.scope)
        about = {**track.about, "duration_ms": track.duration_ms}
        fail_call(run, track.step_id, error, about, since=track.began)


def cancel_tool(track: Track) -> None:
    """Log `error` for a call of a tool that was cancelled, whether the framework tells that or not."""
    about = {**track.about, "duration_ms": track.duration_ms, "cancelled": True}
    track.write("error", f"{track.about.get('tool', track.name)} was cancelled", about)


def end_model(track: Track, response: Any) -> Any:
    """Log what a model answered; return its words."""
    answer = answer_of(response, track.about)
    _write_answer(track, answer, cancelled=False)
    return answer.text or {"tool_calls": answer.tool_calls}


def fail_model(track: Track, error: BaseException, response: Any) -> None:
    """Log `error` for a call of a model; or what it had said so far, when somebody had enough of it."""
    if is_cancellation(error):
        _write_answer(track, _so_far(track, response), cancelled=True)
    else:
        about = {name: track.about[name] for name in ("model", "provider") if track.about.get(name)}
        track.note_error(error, **about, duration_ms=track.duration_ms)


def log_custom(track: Track, name: str, data: Any) -> None:
    """Log an event that the program dispatched, at the innermost step under way."""
    current = _context.current()
    scope = current if current is not None and is_within(current, track.scope) else track.scope
    run, step = split(scope)
    run.log_event(name, payload={"name": name, "data": data}, step=step)


def give_up(track: Track, why: BaseException) -> None:
    """End what no hook will end any more."""
    if track.kind == "tool":
        cancel_tool(track)
    elif track.kind == "model":
        _write_answer(track, _so_far(track, None), cancelled=True)
    if track.step is not None:
        track.step.fail(str(why) or "cancelled")
    if track.run is not None:
        track.run.cancel()
        track.run.end()


def _so_far(track: Track, response: Any) -> Answer:
    """Read what a model had answered when it was cancelled; the framework does not always tell its words."""
    answer = answer_of(response, track.about)
    return answer if answer.text else replace(answer, text=track.said.text)


def _write_answer(track: Track, answer: Answer, *, cancelled: bool) -> None:
    write_answer(track.scope, answer, cancelled=cancelled, name=track.name, duration_ms=track.duration_ms)
