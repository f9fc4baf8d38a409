"""Close the runs of dead processes: kernel locks tell the living from the dead, never heartbeats or process numbers."""

from __future__ import annotations

from contextlib import closing

from mission_tracer import facts
from mission_tracer._disk.directory import Directory, claim_dead
from mission_tracer._disk.journal import iterate_lines
from mission_tracer._disk.stream import utc_now


def bury(directory: Directory, key: str, *, delivered: int = 0) -> bool:
    """Close a run whose writers are all dead and that was never closed; say whether they are all dead.

    A paused run is left: it may wait for its next process. A joined one is not ours to end.

    Args:
        directory: The state directory.
        key: The run's key.
        delivered: The position after the last fact that its delivery log calls delivered.

    Raises:
        OSError: Its journal cannot be read or written.
    """
    file = claim_dead(directory.journal(key), power=directory.power)
    if file is None:
        return False
    with closing(file):
        if file.is_in_place():
            file.fill_up(delivered)
            closing_fact = last_words(directory, key)
            if closing_fact is not None:
                file.append(facts.encode(closing_fact))
    return True


def discard_stillborn(directory: Directory, key: str) -> bool:
    """Delete a run of which not one line was written whole: its process died while it wrote the first one.

    A line that says what we cannot read, such as a later version's, is somebody's; the zeros of a power cut are not.

    Raises:
        OSError: Its journal cannot be read or deleted.
    """
    file = claim_dead(directory.journal(key))
    if file is None:
        return False
    with closing(file):
        stillborn = file.is_in_place() and not any(line.content.strip(b"\0") for line in iterate_lines(file.path))
        if stillborn:
            directory.delete(key)
    return stillborn


def last_words(directory: Directory, key: str) -> facts.RunClosed | None:
    """Write the end of a run that its dead process could not write; `None` when it has one, or must stay open.

    Raises:
        OSError: The journal cannot be read.
    """
    step: str | None = None
    last: facts.Fact | None = None
    waiting = False
    for line in iterate_lines(directory.journal(key)):
        fact = facts.read(line.content) if line.content else None
        if fact is None:
            continue
        if isinstance(fact, (facts.RunClosed, facts.RunJoined)):
            return None
        if isinstance(fact, (facts.RunPaused, facts.RunResumed)):
            waiting = isinstance(fact, facts.RunPaused)
        elif isinstance(fact, facts.StepEntered):
            step = fact.step_id
        last = fact
    if waiting or last is None:
        return None
    kind = str(type(last).__struct_config__.tag)
    where = f"last step: {step}, " if step else ""
    return facts.RunClosed(
        id=f"{facts.new_writer()}.1",
        at=utc_now(),
        status="failed",
        error=f"process ended without closing the run ({where}last fact: {kind} at {last.at.isoformat()})",
        metadata={"recovered": {"last_step": step, "last_fact": kind, "last_at": last.at}},
        recovered=True,
    )
