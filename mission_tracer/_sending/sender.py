"""Deliver the journals in the background: daemon threads that share lanes, pauses and one HTTP transport.

Not asyncio: at exit its resolver needs an executor that is already gone. A few threads are enough, since they wait for
the network nearly all of the time, and all but one end when there is nothing to do.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from random import random
from typing import TYPE_CHECKING

from mission_tracer import _context
from mission_tracer._base import forks
from mission_tracer._base.signal_mask import leave_signals
from mission_tracer._sending.lane import Lane
from mission_tracer._sending.lane_courier import Item, Pause
from mission_tracer._sending.sender_bell import Bell
from mission_tracer._sending.sender_gate import Gate
from mission_tracer._sending.sender_lanes import Lanes
from mission_tracer._sending.sender_wire import Wire

if TYPE_CHECKING:
    from mission_tracer._base.notices import Notices
    from mission_tracer._sending.transport import Transport

MAX_THREADS = 64
_POLL = 2.0  # how long an idle sender waits until it looks whether another process wrote; then longer each time
_SELDOM = 8.0  # but no longer than this
_BRISK = 0.025  # how often a sender looks that had work a moment ago
_AWAKE = 0.5  # how long "a moment ago" is
_LEISURE = 2.0  # how long a further thread waits for work before it ends


class Sender:
    """Run lanes on threads of its own until it is stopped.

    Args:
        lanes: Gives lanes and takes them back.
        transport: Makes the transport, on a sender's thread, when it is first needed.
        notices: Says what goes wrong.
        max_backoff: The longest pause, in seconds.
        advice: What to do about a key that is refused.
        most_threads: How many threads at once, and so connections; `MAX_THREADS` at most.
        monotonic: Seconds that never go back.
        draw: Draws from 0 to 1, for the pauses' jitter.
    """

    def __init__(
        self,
        lanes: Lanes,
        transport: Callable[[], Transport],
        notices: Notices,
        *,
        max_backoff: float,
        advice: str,
        most_threads: int = MAX_THREADS,
        monotonic: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random,
    ) -> None:
        self.asleep = True
        self.progress = threading.Condition(threading.RLock())
        self.acknowledged_at = monotonic()
        self.locked_out = False
        self.wire = Wire(transport, monotonic=monotonic)
        self._lanes = lanes
        self._notices = notices
        self._max_backoff = max_backoff
        self._gate = Gate(most=max_backoff, draw=draw)
        self._advice = advice
        self._most_threads = min(most_threads, MAX_THREADS)
        self._monotonic = monotonic
        self._bell = Bell()
        self._ready: deque[Lane] = deque()
        self._queued: set[Lane] = set()
        self._resting: list[Lane] = []
        self._threads = 0
        self._idle = 0
        self._watched = False
        self._stopped = False
        self._running = 0
        self._worked_at = 0.0
        self._looked_at = -_POLL
        self._looking = False
        self._unstartable_until = 0.0

    # ---- from any thread ----

    def wake(self) -> None:
        """Make the sender look for work now; start it when it does not run. Never raises."""
        self.asleep = False
        if self._threads:
            self._bell.ring()
        else:
            self._begin()

    def hurry(self) -> None:
        """Cut short the pauses that we chose ourselves: somebody waits."""
        with self.progress:
            self._gate.hurry()
            for lane in [*self._resting, *self._ready]:
                lane.hurry()
        self.wake()

    def stop(self, timeout: float) -> None:
        """Let the threads end; wait for them up to `timeout` seconds."""
        deadline = self._monotonic() + timeout
        with self.progress:
            self._stopped = True
            self._bell.ring()
            while self._threads and (left := deadline - self._monotonic()) > 0:
                self.progress.wait(left)
            is_over = not self._threads
        if is_over:
            self.wire.close()

    def restart(self) -> None:
        """Let threads work again after `stop`."""
        with self.progress:
            self._stopped = False
            self.asleep = True

    def work_until(self, over: Callable[[], bool], *, left: Callable[[], float]) -> None:
        """Deliver on the calling thread until a condition holds: for an interpreter that starts no more threads.

        Args:
            over: The condition.
            left: Says how long a request may take, in seconds.
        """
        token = _context.quiet.set(True)
        try:
            while not over():
                self._step(within=left)
        finally:
            _context.quiet.reset(token)

    @property
    def is_running(self) -> bool:
        """Say whether a thread delivers."""
        return self._threads > 0

    # ---- the threads ----

    def _begin(self) -> None:
        with self.progress:
            if self._threads == 0 and not self._stopped:
                self._start_thread()

    def _start_thread(self) -> None:
        now = self._monotonic()
        if now < self._unstartable_until:
            self._stay_down()
            return
        thread = threading.Thread(target=self._work, name="mission_tracer.sender", daemon=True)
        self._threads += 1
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            # No thread to be had (a limit, or the interpreter is ending): what is recorded waits in the journal.
            self._threads -= 1
            self._unstartable_until = now + _POLL
            self._stay_down()
            self._notices.say("debug", "no sender thread", cause="thread", why=str(error))

    def _stay_down(self) -> None:
        if self._threads == 0:
            self._lanes.postpone()
            self.asleep = True

    def _work(self) -> None:
        leave_signals()
        _context.quiet.set(True)
        leave_at = self._monotonic() + _LEISURE
        try:
            while not self._stopped:
                try:
                    if self._step():
                        leave_at = self._monotonic() + _LEISURE
                    elif forks.is_over() or (self._monotonic() >= leave_at and self._watched):
                        return  # nobody is left whose work it is, or another one watches for work
                except BaseException as error:  # noqa: BLE001 - the sender must outlive whatever happens in it
                    self._complain(error)
        finally:
            with self.progress:
                self._threads -= 1
                self.progress.notify_all()
            if self._stopped:
                self._bell.ring()  # for the next one

    def _complain(self, error: BaseException) -> None:
        if not self._stopped:
            self._notices.say("error", "the sender met an error and goes on", cause="sender", why=repr(error))
            time.sleep(_BRISK)  # whatever it is, not in a hot loop

    def _step(self, *, within: Callable[[], float] | None = None) -> bool:
        """Deliver one fact, or wait for one; say whether there was one.

        Args:
            within: Says how long a request may take, in seconds; `None`: this is a thread of ours, and may wait.
        """
        self._look()
        with self.progress:
            found = self._take()
            if found is not None:
                self._running += 1
                if within is None:
                    self._find_watcher()
        if found is None:
            self._wait(_LEISURE if within is None else _BRISK)
            return False
        lane, item = found
        if item is None:
            self._release(lane)
        else:
            self._deliver(lane, item, within)
        return True

    def _find_watcher(self) -> None:
        """See to it that somebody looks after other runs while this thread waits for the server."""
        if self._gate.is_doubted or (self._watched and len(self._ready) <= 1):
            return
        if self._idle:
            self._bell.ring()
        elif self._threads < self._most_threads and not self._stopped:
            self._start_thread()

    def _deliver(self, lane: Lane, item: Item, within: Callable[[], float] | None) -> None:
        started = self._monotonic()
        pause: Pause | None = Pause("the sender was interrupted", quiet=True)
        exchange = self.wire.exchange
        try:
            if within is None:
                pause = lane.run(item, exchange)
            else:
                pause = lane.run(item, lambda call: exchange(call, within=max(0.001, within())))
        finally:
            with self.progress:
                self._running -= 1
                self._settle(lane, item, pause, started)
                if not item.free or lane.is_at_rest:
                    # Who waits looks now and then anyhow: to wake them for each event would cost as much as it does.
                    self.progress.notify_all()

    def _release(self, lane: Lane) -> None:
        try:
            self._lanes.release(lane)
        finally:
            with self.progress:
                self._running -= 1
                lane.let_go()
                self.progress.notify_all()

    def _look(self) -> None:
        """Queue the lanes that may have work: those written to, those whose pause is over, and others now and then."""
        with self.progress:
            now = self._monotonic()
            over = [lane for lane in self._resting if lane.next_at <= now]
            if over:
                self._resting = [lane for lane in self._resting if lane.next_at > now]
                for lane in over:
                    self._queue(lane)
            everything = now - self._looked_at >= _POLL
            if self._looking or not (everything or self._lanes.has_news):
                return
            self._looking = True
            if everything:
                self._looked_at = now
        lanes: list[Lane] = []
        try:
            lanes = self._lanes.renew(everything=everything)
        finally:
            with self.progress:
                self._looking = False
                for lane in lanes:
                    lane.look_again()
                    self._queue(lane)

    def _wait(self, most: float) -> None:
        """Wait for the bell, or until something is due; one thread watches, others come when it finds work."""
        with self.progress:
            watch = not self._watched
            self._watched = True
            self._idle += 1
            timeout = min(most, self._until_due()) if watch else most
            if watch:
                self.asleep = timeout > _BRISK
        try:
            # Whoever recorded before `asleep` was set did not ring.
            if self._stopped or (watch and self._lanes.has_news and not self._looking):
                return
            while not self._bell.wait(timeout) and watch and timeout >= _POLL and self._is_quiet():
                self.wire.tidy()
                timeout = min(2 * timeout, _SELDOM)
        finally:
            with self.progress:
                self._idle -= 1
                if watch:
                    self._watched = False

    def _is_quiet(self) -> bool:
        """Say whether the watching thread may wait on: it costs next to nothing as long as nobody does anything."""
        with self.progress:
            busy = self._stopped or self._running or self._ready or self._resting or self._gate.opens_at
            return not (busy or forks.is_over()) and self._lanes.is_still

    # ---- under the lock ----

    def _until_due(self) -> float:
        now = self._monotonic()
        timeout = _BRISK if now - self._worked_at < _AWAKE else _POLL
        for due in [lane.next_at for lane in self._resting] + [self._gate.opens_at]:
            if due > now:
                timeout = min(timeout, due - now)
        return max(timeout, 0.001)

    def _take(self) -> tuple[Lane, Item | None] | None:
        """Choose a lane and its next fact; no fact: the lane is to be released."""
        now = self._monotonic()
        if now < self._gate.opens_at or (self._gate.is_doubted and self._running):
            return None
        for _ in range(len(self._ready)):
            lane = self._ready.popleft()
            self._queued.discard(lane)
            try:
                item = lane.take(now)
                if item is not None:
                    self._queue(lane)
                    self._worked_at = now
                    return lane, item
                if self._is_to_go(lane, now):
                    lane.leave()
                    return lane, None
            except OSError as error:
                self._notices.say("warning", "a journal cannot be read", cause="read", run=lane.key, why=str(error))
                lane.next_at = now + self._max_backoff
            if lane.next_at > now:
                self._resting.append(lane)
        return None

    def _is_to_go(self, lane: Lane, now: float) -> bool:
        """Say whether to release a lane: its run is over or parked, or it idles while others wait for a place."""
        if lane.running or lane.is_leaving:
            return False
        if lane.state.parked or lane.is_over():
            return True
        return self._lanes.is_crowded and (lane.next_at > now + _POLL or lane.is_drained())

    def _queue(self, lane: Lane) -> None:
        if lane not in self._queued:
            self._queued.add(lane)
            self._ready.append(lane)

    def _settle(self, lane: Lane, item: Item, pause: Pause | None, started: float) -> None:
        now = self._monotonic()
        lane.give_back(item)
        if pause is None:
            self.acknowledged_at = now
            self._gate.open()
            self.locked_out = lane.locked_out = False
        elif pause.everywhere:
            self.locked_out = pause.locked_out
            self._gate.close(pause, now=now, started=started)
        else:
            lane.locked_out = pause.locked_out
            lane.rest(item, now + self._gate.length(pause, item.attempts))
        if pause is not None:
            self._say(lane, pause)
        self._queue(lane)

    def _say(self, lane: Lane, pause: Pause) -> None:
        if pause.locked_out:
            self._notices.say(
                "error", f"the server refuses the API key; {self._advice}", cause="key", once=True, why=pause.why
            )
        elif lane.state.parked is not None:
            said = "a run cannot be delivered; it is kept until `mission-tracer sync` tries it again"
            self._notices.say("warning", said, cause="parked", run=lane.key, why=pause.why)
        elif not pause.quiet:
            where = "server" if pause.everywhere else "run"
            self._notices.say(
                "warning",
                "the Missions API cannot take this now; everything is kept and tried again",
                cause=where,
                run=lane.key,
                why=pause.why,
            )
