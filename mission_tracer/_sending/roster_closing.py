"""Close a run that is over: put its files away when nobody writes to it any more; and know one that nobody closes."""

from __future__ import annotations

from contextlib import closing

from mission_tracer._disk.books import count_files
from mission_tracer._disk.directory import Directory, claim_dead, is_free
from mission_tracer._sending.lane import Lane


def put_away(directory: Directory, lane: Lane) -> bool:
    """Put a run away; False while somebody writes to it, or there is more to deliver or to decide.

    Raises:
        FileNotFoundError: Its journal is not there any more.
        OSError: Its files cannot be moved.
    """
    file = claim_dead(directory.journal(lane.key))
    if file is None:
        return False
    with closing(file):
        lane.catch_up()  # an owner's last decision
        if not (lane.is_drained() and file.is_in_place()):
            return False
        lane.put_away()
        if not lane.is_behind:
            directory.put_away(lane.key)
        elif lane.state.rejected:
            return False
        else:
            # The disk does not take its log: if it were kept, it would be delivered again after a crash.
            directory.delete(lane.key)
    return True


def is_left(directory: Directory, key: str) -> bool:
    """Say whether a run has something to deliver, and no living process writes or delivers it.

    Raises:
        OSError: Its files cannot be read.
    """
    journal, log = directory.journal(key), directory.log(key)
    if not is_free(journal) or not count_files(journal, log).pending:
        return False
    return not log.exists() or is_free(log)
