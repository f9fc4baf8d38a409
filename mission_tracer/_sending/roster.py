"""Know which runs there are to deliver: those of this process, and those that others left.

A run is delivered by whoever holds the lock of its delivery log. Only some runs have a lane at a time; the others wait
in the directory, so that neither memory nor file descriptors grow with their number.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

from mission_tracer._base.notices import Notices
from mission_tracer._disk.books import Stats, count_files
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.stream import Stream
from mission_tracer._sending.lane import Lane
from mission_tracer._sending.roster_burial import bury
from mission_tracer._sending.roster_closing import is_left, put_away
from mission_tracer._sending.roster_ledger import Ledger, Own
from mission_tracer._sending.roster_opening import Elsewhere, Nothing, Opening, Refused
from mission_tracer._sending.roster_places import MOST_LANES
from mission_tracer._sending.roster_strangers import Strangers

_AGAIN = 5.0  # seconds until a run is tried again that could not be opened
_LIGHTENED = 64  # runs at a time


class Roster:
    """Open and close the lanes of a sender.

    Args:
        directory: The state directory; `None`: memory only.
        base_url: The address that is delivered to; runs recorded for another one are left alone.
        notices: Says what was found.
        settle: How long an effect whose answer was lost is awaited, in seconds.
        timeout: The longest time a request is under way, in seconds.
        retention: How long delivered runs are kept, in seconds.
        most_bytes: How many bytes of them are kept.
        power: True: logs survive a power cut.
        adopt: True: runs of other processes are delivered too.
        anywhere: True: runs that were recorded for another address but never reached it are delivered too.
        most_lanes: How many runs are open at once.
        clock: Seconds since the epoch.
        monotonic: Seconds that never go back.
    """

    def __init__(
        self,
        directory: Directory | None,
        *,
        base_url: str,
        notices: Notices,
        settle: float,
        timeout: float,
        retention: float,
        most_bytes: int,
        power: bool = False,
        adopt: bool = True,
        anywhere: bool = False,
        most_lanes: int = MOST_LANES,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._notices = notices
        self._most_lanes = most_lanes
        self._monotonic = monotonic
        self._opening = Opening(
            directory=directory,
            base_url=base_url,
            notices=notices,
            settle=settle,
            timeout=timeout,
            power=power,
            anywhere=anywhere,
            clock=clock,
            monotonic=monotonic,
        )
        self._strangers = Strangers(
            directory if adopt else None, retention=retention, most_bytes=most_bytes, clock=clock, monotonic=monotonic
        )
        self._ledger = Ledger(directory, self.lane)
        self._begin()

    def _begin(self) -> None:
        self.fresh: deque[Stream] = deque()
        self._lanes: dict[str, Lane] = {}
        self._waiting: dict[str, float] = {}
        self._heavy: dict[str, None] = {}
        self._elsewhere: set[str] = set()
        self._freed = self._eager = False
        self._kept: set[str] = set()

    # ---- from any thread ----

    def attach(self, stream: Stream) -> None:
        """Take up a run of this process."""
        self._ledger.enter(stream)

    def streams(self) -> list[Stream]:
        """List the shares of this process in runs that are not put away."""
        return [own.stream for _, own in self._ledger.items() if own.stream is not None]

    def keys(self) -> list[str]:
        """List the runs of this process that are not put away."""
        return self._ledger.keys()

    def own(self, key: str) -> Own | None:
        """Return what is known of a run of this process; `None` when it is put away."""
        return self._ledger[key]

    def lane(self, key: str) -> Lane | None:
        """Return a run's lane; `None` when another process delivers it, or nobody yet."""
        return self._lanes.get(key)

    def lanes(self) -> list[Lane]:
        """List the lanes that are open."""
        return list(self._lanes.values())

    def is_elsewhere(self, key: str) -> bool:
        """Say whether another process delivered a run of ours when we looked last."""
        return key in self._elsewhere

    def look_again(self) -> None:
        """See to it that the next look tries the runs that other processes delivered: they may have ended."""
        self._eager = self._freed = True

    def stats(self, dropped: dict[str, int]) -> Stats:
        """Balance the books of what this process recorded.

        Raises:
            OSError: A journal cannot be read.
        """
        return self._ledger.stats(dropped)

    def estimate_pending(self) -> int:
        """Say how many facts of this process are not settled, from counters alone."""
        return self._ledger.estimate_pending()

    def has_others_work(self, until: float) -> bool:
        """Say whether something of others may be delivered before a moment; asked under the sender's lock."""
        with suppress(OSError):
            others = [lane for lane in self.lanes() if lane.key not in self._ledger]
            return bool(self._strangers) or any(lane.has_work(until) for lane in others)
        return False

    def count_unsafe(self) -> int:
        """Count the facts that die with this process: they are on no disk, or in a file that was deleted."""
        return self._ledger.count_unsafe()

    def leave(self, key: str) -> None:
        """Let go of a run that nobody here writes any more, when nobody here delivers either."""
        self._ledger.leave(key)

    # ---- from the sender ----

    @property
    def has_news(self) -> bool:
        """Say whether something was recorded, or a place came free, since the last look."""
        return bool(self.fresh) or self._freed

    @property
    def is_still(self) -> bool:
        """Say whether a look at everything would find nothing."""
        quiet = not (self.has_news or self._waiting or self._elsewhere) and self._strangers.is_still
        return quiet and all(lane.is_still() for lane in self.lanes())

    @property
    def is_crowded(self) -> bool:
        """Say whether runs wait for a lane because too many are open."""
        return self._is_full() and bool(self._waiting or self._strangers)

    def _is_full(self) -> bool:
        return len(self._lanes) - len(self._kept) >= self._most_lanes

    def renew(self, *, everything: bool) -> list[Lane]:
        """Return lanes that may have something to deliver now."""
        eager, self._freed, self._eager = self._eager, False, False
        found = self._take_fresh()
        if everything or eager:
            self._waiting = {**dict.fromkeys(self._elsewhere, 0.0), **self._waiting}
            self._elsewhere = set()
        if everything:
            found += self._look_around()
        return list(dict.fromkeys([*found, *self._open_some()]))

    def postpone(self) -> None:
        """Put what is new aside: nobody can look at it now."""
        self._take_fresh()

    def _take_fresh(self) -> list[Lane]:
        """Take in which runs were written to; return the lanes that are open for them."""
        found = []
        while self.fresh:
            stream = self.fresh.popleft()
            # Before its journal is read: what is recorded after that makes it dirty again.
            stream.dirty = False
            if not stream.attached:
                self.attach(stream)
            lane = self._lanes.get(stream.key)
            if lane is not None:
                lane.take_part(stream.journal.memory)
                found.append(lane)
            else:
                self._wait_for_lane(stream.key)
        return found

    def _wait_for_lane(self, key: str) -> None:
        own = self._ledger[key]
        if own is not None and own.parked is None:
            self._waiting.setdefault(key, 0.0)
            if not (self._is_full() and self._ledger.lighten(own)):
                self._heavy[key] = None

    def _look_around(self) -> list[Lane]:
        """Look at what other processes did; return the lanes that may have work for it."""
        moved = self.lanes() if self.is_crowded else [lane for lane in self.lanes() if not lane.is_still()]
        for lane in moved:
            with suppress(OSError):
                lane.catch_up()
        if self._strangers.look(lambda: {*self._ledger.keys(), *self._lanes}):
            for lane in self.lanes():
                self._bury_if_dead(lane)
        return moved

    def _bury_if_dead(self, lane: Lane) -> None:
        own = self._ledger[lane.key]
        mine = own is not None and own.is_written
        if self._directory is not None and not (mine or lane.state.closed or lane.state.joined):
            with suppress(OSError):
                bury(self._directory, lane.key)

    def release(self, lane: Lane) -> None:
        """Put a run away that is over and that nobody writes to any more, or make room for others."""
        own = self._ledger[lane.key]
        self._kept.discard(lane.key)
        if lane.is_over() and self._put_away(lane, own):
            self._close(lane)
            self._ledger.close(lane.key)
            self._strangers.forget(lane.key)
        elif not lane.is_resumable():
            self._keep(lane)
        elif lane.state.parked:
            self._refuse(lane.key, lane.state.parked)
            self._close(lane)
        elif self.is_crowded:
            if not lane.is_drained():
                self._waiting[lane.key] = lane.next_at
            self._close(lane)

    def _keep(self, lane: Lane) -> None:
        """Leave a lane its place, beside the others: a later one would send again what this one cannot write down."""
        self._kept.add(lane.key)
        self._freed = True

    def _put_away(self, lane: Lane, own: Own | None) -> bool:
        if own is not None and own.is_written:
            return False
        if self._directory is None or not lane.is_on_disk:
            return True
        try:
            return put_away(self._directory, lane)
        except FileNotFoundError:  # somebody deleted it
            self._directory.delete(lane.key)
            if own is not None and own.stream is not None:
                own.stream.journal.forget()
            return True

    def _close(self, lane: Lane) -> None:
        self._lanes.pop(lane.key, None)
        self._kept.discard(lane.key)
        self._ledger.settle(lane)
        self._freed = True
        lane.close()

    # ---- opening ----

    def _open_some(self) -> list[Lane]:
        found = []
        now = self._monotonic()
        for _ in range(len(self._waiting)):
            if self._is_full():
                self._lighten()
                break
            key = next(iter(self._waiting))
            due = self._waiting.pop(key)
            if due > now:
                self._waiting[key] = due
            elif (lane := self._open(key)) is not None:
                found.append(lane)
        # Half of the places are kept for this process's own runs.
        while len(self._lanes) < self._most_lanes // 2 and (key := self._strangers.next() or "") != "":
            if key not in self._ledger and key not in self._lanes and (lane := self._open(key)) is not None:
                found.append(lane)
        return found

    def _open(self, key: str) -> Lane | None:
        own = self._ledger[key]
        self._heavy.pop(key, None)
        try:
            lane = self._opening.open(key, own)
        except FileNotFoundError:
            if own is not None:
                self._take_leave(key, own)
            return None
        except OSError as error:
            self._notices.say("warning", "a run cannot be delivered now", cause="open", run=key, why=str(error))
            if own is not None:
                self._waiting[key] = self._monotonic() + _AGAIN
            return None
        if isinstance(lane, Lane):
            self._lanes[key] = lane
            if not lane.is_resumable():
                self._keep(lane)
            return lane
        if isinstance(lane, Refused):
            self._refuse(key, lane.why)
        elif isinstance(lane, Elsewhere) and own is not None:
            self._elsewhere.add(key)
        elif lane == Nothing(yet=True):
            self._strangers.again(key)
        return None

    def _refuse(self, key: str, why: str) -> None:
        self._strangers.skip(key)
        if (own := self._ledger[key]) is not None:
            own.parked = why

    def _take_leave(self, key: str, own: Own) -> None:
        """Let go of a run whose journal is not where it was: another process delivered it, or somebody deleted it."""
        directory = self._directory
        if own.is_written:
            # Its last facts may be in memory, because it was put away in the moment they came.
            back = directory is not None and directory.bring_back(key)
            self._waiting[key] = 0.0 if back else self._monotonic() + _AGAIN
            return
        if directory is not None and (place := directory.find(key)) is not None:
            sums = count_files(*place, writers=own.writers)
            own.delivered, own.rejected = sums.delivered, sums.rejected + sums.dropped
            self._ledger.close(key)
        elif lost := self._ledger.write_off(key):
            self._notices.say("error", "a journal was deleted before it was delivered", cause="gone", facts=lost)

    def _lighten(self) -> None:
        """Let go of what is only kept for a quick look: runs that nobody here writes any more wait in the directory."""
        for key in list(islice(self._heavy, _LIGHTENED)):
            del self._heavy[key]
            if (own := self._ledger[key]) is not None and not self._ledger.lighten(own):
                self._heavy[key] = None

    # ---- the end ----

    def tidy(self) -> None:
        """Put away what is over and give up the rest."""
        for lane in self.lanes():
            with suppress(OSError):
                if not lane.running and lane.is_over():
                    self.release(lane)
        self.close()

    def left_behind(self) -> bool:
        """Say whether a run of ours waits that no living process writes or delivers any more.

        Whoever leaves gives up writing first and looks then who delivers; whoever gives up delivering looks then who
        still writes. So of two processes that leave at the same moment at least one sees what the other leaves.
        """
        directory = self._directory
        for key, own in self._ledger.items():
            with suppress(OSError):
                if directory is not None and own.parked is None and is_left(directory, key):
                    self.look_again()
                    return True
        return False

    def close(self) -> None:
        """Give every lane up; what is left waits for the next one."""
        for lane in self.lanes():
            self._close(lane)
        for key in self.keys():
            self._wait_for_lane(key)

    def take_over(self, other: Roster) -> None:
        """Go on with another one's runs."""
        other.close()
        for key, own in self._ledger.take_over(other._ledger):
            if own.stream is not None:
                own.stream.dirty = True
                self.fresh.append(own.stream)
            else:
                self._waiting.setdefault(key, 0.0)

    def forked(self) -> None:
        """Forget everything in a forked child: its parent goes on delivering."""
        for lane in self.lanes():
            lane.abandon()
        self._ledger.clear()
        self._begin()
