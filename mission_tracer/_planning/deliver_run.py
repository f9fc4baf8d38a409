"""Plan the requests that find the mission, create the run and change its status. Pure: see `actions`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from mission_tracer import facts
from mission_tracer._planning.actions import (
    CHANGES,
    MALFORMED,
    STUBBORN,
    Action,
    Answer,
    Call,
    Flow,
    Forget,
    NotYet,
    Recall,
    Refusal,
    Remember,
    Settle,
    Situation,
    give_up,
    park_if_gone,
    select,
)
from mission_tracer._planning.deliver_step import end_step, straighten_steps
from mission_tracer._planning.records import MissionFound, MissionLost, RunBound, Unsent

_FINAL = {"succeeded", "failed", "cancelled"}
_RUNNING = {"status": "running"}


def open_run(fact: facts.RunOpened, at: Situation) -> Flow:
    state = at.state
    while not state.run_id:
        if not state.mission_id:
            yield from _find_mission(fact.mission, at)
        yield from _create_run(fact, at)
    if not at.late:
        yield from _set_run(at, _RUNNING)


def _find_mission(spec: facts.MissionSpec, at: Situation) -> Flow:
    """Bind the run to its mission: the one given, the one this host knows, the oldest of that name, or a new one."""
    mission_id = spec.id
    if not mission_id:
        mission_id = yield Recall(spec.name)
        if not mission_id:
            if "create_mission" in at.state.intents:
                yield Settle("create_mission")
            mission_id = yield from _oldest_mission(spec.name, at)
            if not mission_id:
                created = yield from _create_mission(spec, at)
                # Another machine may have created it in the same moment: both then choose the oldest.
                mission_id = (yield from _oldest_mission(spec.name, at)) or created
        yield Remember(spec.name, mission_id)
    yield MissionFound(mission_id)


def _create_mission(spec: facts.MissionSpec, at: Situation) -> Generator[Action, Any, str]:
    full = msgspec.to_builtins(spec)
    full.pop("id", None)
    for body in (full, {"name": spec.name}):
        answer = yield Call("missions.create", body=body, intent="create_mission")
        if answer.ok:
            return str(answer.data["mission_id"])
        if answer.status not in MALFORMED:
            break
    found = (yield from _oldest_mission(spec.name, at)) if answer.status == 409 else None
    return found or give_up(at, answer, f"refused the mission {spec.name!r}")


def _oldest_mission(name: str, at: Situation) -> Generator[Action, Any, str | None]:
    answer, found = yield from select("missions.list", {}, {}, lambda item: item.get("name") == name)
    if not answer.ok:
        give_up(at, answer, "does not list the missions")
    oldest = min(found, key=lambda item: (str(item.get("created_at") or "~"), str(item["mission_id"])), default=None)
    return str(oldest["mission_id"]) if oldest else None


def _create_run(fact: facts.RunOpened, at: Situation) -> Flow:
    """Create the run, or find the one that an earlier attempt created; a lost mission ends it without a run."""
    state = at.state
    if "create_run" in state.intents:
        yield Settle("create_run")
        found = yield from _run_by_key(fact.key, at)
        if found:
            yield RunBound(found)
            return
    full = {"input": fact.input, "metadata": fact.metadata} if fact.input else {"metadata": fact.metadata}
    bare = {"metadata": {"mission_tracer": fact.metadata.get("mission_tracer", {"key": fact.key})}}
    path = {"mission_id": state.mission_id or ""}
    answer = Answer(0)
    is_by_name = not fact.mission.id
    # What a name stands for may have been learned with a key of another account.
    doubtful = is_by_name and state.mission_losses == 0
    # Nothing is known of a creation on which the server failed: it is looked for before the smaller one is tried.
    for body in (bare,) if at.blamed >= STUBBORN and at.blamed % 2 else (full, bare):
        answer = yield Call("missions.runs.create", path, body=body, intent="create_run", doubtful=doubtful)
        if answer.ok:
            yield RunBound(str(answer.data["run_id"]))
            if body is bare and fact.input:
                yield Refusal("missions.runs.create", 0, "taken without its input")
            return
        if answer.status not in MALFORMED:
            break
    if answer.status == 409 and (found := (yield from _run_by_key(fact.key, at))):
        yield RunBound(found)
        return
    if answer.status in {403, 404} and is_by_name and state.mission_losses < 3:
        yield Forget(fact.mission.name)
        yield MissionLost()
        return
    give_up(at, answer, "refused the run")


def _run_by_key(key: str, at: Situation) -> Generator[Action, Any, str | None]:
    def ours(item: dict[str, Any]) -> bool:
        mark = (item.get("metadata") or {}).get("mission_tracer")
        return isinstance(mark, dict) and mark.get("key") == key

    path = {"mission_id": at.state.mission_id or ""}
    answer, found = yield from select("missions.runs.list", path, {}, ours, first=True)
    if not answer.ok and answer.status != 404:
        give_up(at, answer, "does not list the mission's runs")
    return str(found[0]["run_id"]) if found else None


def join_run(fact: facts.RunJoined, at: Situation) -> Flow:
    """Bind this journal to a run that another machine opened."""
    state = at.state
    if not state.mission_id:
        mission_id = fact.mission.id or (yield from _oldest_mission(fact.mission.name, at))
        if not mission_id:
            raise NotYet(f"no mission {fact.mission.name!r} yet")
        yield MissionFound(mission_id)
    if not state.run_id:
        run_id = fact.run_id or (yield from _run_by_key(fact.key, at))
        if not run_id:
            raise NotYet(f"no run {fact.key} yet")
        yield RunBound(run_id)


def _set_run(at: Situation, *bodies: dict[str, Any]) -> Flow:
    """Bring the run to a status; each further body is a smaller one, for a server that refuses the one before."""
    wanted = bodies[0]["status"]
    answer = yield from _offer(at, bodies)
    if answer.ok:
        return
    yield from park_if_gone(answer, at)
    current: Answer = yield Call("missions.runs.retrieve", at.path())
    status = current.data.get("status") if current.ok else None
    if status == wanted:
        return
    if status in {"pending", "paused"}:
        # The server may let a run end only while it runs.
        if status == "paused":
            yield Call("missions.runs.resume", at.path())
        else:
            yield Call("missions.runs.update", at.path(), body=_RUNNING)
        answer = yield from _offer(at, bodies)
        if answer.ok:
            return
    if wanted == "cancelled" and (yield Call("missions.runs.cancel", at.path())).ok:
        return
    yield Refusal("missions.runs.update", answer.status, answer.why)


def _offer(at: Situation, bodies: tuple[dict[str, Any], ...]) -> Generator[Action, Any, Answer]:
    """Send the first body that the server takes; say so when it is not the whole one."""
    first = answer = Answer(0)
    for number, body in enumerate(bodies):
        tolerant = at.stubborn and number + 1 < len(bodies)
        answer = yield Call("missions.runs.update", at.path(), body=body, tolerant=tolerant)
        first = first if number else answer
        if answer.ok and number:
            yield Refusal("missions.runs.update", first.status, f"taken without its result or metadata: {first.why}")
        if answer.ok or (answer.status not in MALFORMED and answer.status < 500):
            break
    return answer


def pause_run(_fact: facts.RunPaused, at: Situation) -> Flow:
    if not at.late:
        yield from _hold(at, "missions.runs.pause", "paused")


def resume_run(_fact: facts.RunResumed, at: Situation) -> Flow:
    if not at.late:
        yield from _hold(at, "missions.runs.resume", "running")


def _hold(at: Situation, operation: str, wanted: str) -> Flow:
    """Pause or resume the run; one that comes late would undo what follows it, so it is awaited and looked for."""
    if operation in at.state.intents:
        yield Settle(operation)
        current = yield Call("missions.runs.retrieve", at.path())
        if current.ok and current.data.get("status") == wanted:
            yield Unsent(operation)
            return
    answer = yield Call(operation, at.path(), intent=operation)
    yield Unsent(operation)
    if not answer.ok:
        yield from park_if_gone(answer, at)
        current = yield Call("missions.runs.retrieve", at.path())
        if not (current.ok and current.data.get("status") == wanted):
            yield Refusal(operation, answer.status, answer.why)


def close_run(fact: facts.RunClosed, at: Situation) -> Flow:
    """End every step that did not end, then the run; the first end of a run is the one that counts."""
    state = at.state
    if state.closed and not at.late:
        return
    if state.shaky:
        yield Settle(CHANGES)
        yield from straighten_steps(at)
    if fact.recovered:
        current = yield Call("missions.runs.retrieve", at.path())
        if current.ok and current.data.get("status") in _FINAL:
            return
    for step_id, step in sorted(state.steps.items(), key=lambda item: item[1].sequence):
        yield from end_step(at, step_id, step)
    body: dict[str, Any] = {"status": fact.status}
    if fact.summary is not None:
        body["result_summary"] = fact.summary
    if fact.error is not None:
        body["error"] = fact.error
    full = dict(body)
    if fact.payload is not None:
        full["result_payload"] = fact.payload
    if fact.metadata:
        # Nobody says whether metadata is merged or replaced: send all of it.
        full["metadata"] = {**state.metadata, **fact.metadata}
    yield from _set_run(at, full, body, {"status": fact.status})
