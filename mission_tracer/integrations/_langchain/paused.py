"""Remember the runs that wait for an answer, by their thread, so that whoever resumes the thread goes on with the run.

The memory is one small file per waiting thread in the state directory, beside the journals: the process that resumes a
graph need not be the one that stopped. Whoever removes the file has the run; nobody else gets it.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import msgspec

from mission_tracer.recorder import Recorder
from mission_tracer.runs import Run

_HELD = 1000  # handles of waiting runs that this process keeps
_UNNAMED = "LangGraph"  # what LangGraph calls a graph without a name


class Paused(msgspec.Struct):
    """One thread that waits.

    Args:
        key: The run's key.
        name: The run's mission.
        owned: False: somebody else opened the run, and ends it.
        steps: The steps that are left open, by LangGraph's name of their task.
        calls: The tool calls that will be made again, and were logged already.
    """

    key: str
    name: str
    owned: bool
    steps: dict[str, str] = {}
    calls: list[str] = []


class PausedRuns:
    """Keep what waits: on the disk, and the handles of this process's own runs at hand.

    A recorder that keeps nothing on the disk remembers only in this object.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[str, tuple[Paused, Run]] = OrderedDict()

    def put(self, recording: Recorder, thread: str, paused: Paused, run: Run) -> None:
        """Remember that a thread waits.

        Raises:
            OSError: It cannot be written.
        """
        self._held[thread] = (paused, run)
        while len(self._held) > _HELD:
            self._held.popitem(last=False)
        path = _path(recording, thread)
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = path.with_suffix(f".{os.getpid()}.new")
            fresh.touch(mode=0o600)
            fresh.write_bytes(msgspec.json.encode(paused))
            fresh.replace(path)

    def take(self, recording: Recorder, thread: str) -> tuple[Paused, Run] | None:
        """Return what waits on a thread, and forget it; `None`: nothing does, or somebody else took it up.

        Raises:
            OSError, msgspec.MsgspecError: It cannot be read.
        """
        held = self._held.pop(thread, None)
        path = _path(recording, thread)
        if path is None:
            return held
        try:
            content = path.read_bytes()
            path.unlink()
        except FileNotFoundError:
            return None
        paused = msgspec.json.decode(content, type=Paused)
        if held is not None and held[0].key == paused.key:
            return paused, held[1]
        run = _reopen(recording, paused)
        return None if run is None else (paused, run)


def thread_of(mission: str, graph: str, nodes: Iterable[str], thread_id: object) -> str:
    """Name a thread: the same id means another thread in another mission or graph.

    Args:
        mission: The mission.
        graph: The graph's name.
        nodes: The names of its nodes, by which a graph that was given no name is known.
        thread_id: LangGraph's id of the conversation.
    """
    known_by = sorted(nodes) if graph == _UNNAMED else ()
    text = "\n".join((mission, graph, *known_by, str(thread_id)))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def leave_open(run: Run) -> None:
    """Stop writing to a run that waits; whoever resumes it begins to write again."""
    if run.stream is not None:
        # Another process may enter steps of it by then.
        run.stream.shared = True
        run.recorder.leave(run.stream)


def _reopen(recording: Recorder, paused: Paused) -> Run | None:
    """Return a handle on a run that this process has let go of, or never had; `None`: it is not on this machine."""
    known = recording.runs.get(paused.key)
    if isinstance(known, Run):
        return known
    stream = next((stream for stream in recording.roster.streams() if stream.key == paused.key), None)
    if stream is None:
        if recording.directory is None or recording.directory.find(paused.key) is None:
            return None
        stream = recording.open_stream(paused.key, create=False)
        stream.shared = True
        stream.journal.open()
    run = Run(recording, stream, name=paused.name)
    recording.runs[paused.key] = run
    return run


def _path(recording: Recorder, thread: str) -> Path | None:
    directory = recording.directory
    return None if directory is None else directory.root / "paused" / f"{thread}.json"
