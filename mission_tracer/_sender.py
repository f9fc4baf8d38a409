"""Deliver the journals in the background: daemon threads that share lanes, pauses and one HTTP transport.

Not asyncio: at exit its resolver needs an executor that is already gone. A few threads are enough, since they wait for
the network nearly all of the time, and they end when there is nothing to do.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from random import random
from typing import TYPE_CHECKING, Protocol

from mission_tracer import _context
from mission_tracer._backoff import delay
from mission_tracer._lane import Item, Lane, Pause

if TYPE_CHECKING:
    from mission_tracer._notices import Notices
    from mission_tracer._transport import Transport

MAX_THREADS = 40
_POLL = 1.0  # how often an idle sender looks whether another process wrote
_BRISK = 0.025  # how often a sender looks that had work a moment ago
_AWAKE = 0.5  # how long "a moment ago" is
_LEISURE = 5.0  # how long a further thread waits for work before it ends


class Lanes(Protocol):
    """Where the sender's lanes come from and go to; called from one thread at a time, never under a lock."""

    def renew(self, *, everything: bool) -> list[Lane]:
        """Return lanes that may have something to deliver now; `everything`: also look at what others wrote."""
        ...

    def release(self, lane: Lane) -> None:
        """Put a drained lane away if its run is over."""


class Sender:
    """Run lanes on threads of its own until it is stopped.

    Args:
        lanes: Gives lanes and takes them back.
        transport: Makes the transport, on a sender's thread, when it is first needed.
        notices: Says what goes wrong.
        max_backoff: The longest pause, in seconds.
        advice: What to do about a key that is refused.
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
        monotonic: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random,
    ) -> None:
        self.asleep = True
        lock = threading.RLock()
        self.progress = threading.Condition(lock)
        self._work_there = threading.Condition(lock)
        self.acknowledged_at = monotonic()
        self.locked_out = False
        self.is_opening = False  # the HTTP library is imported, which takes seconds on a slow machine
        self._lanes = lanes
        self._make_transport = transport
        self._transport: Transport | None = None
        self._notices = notices
        self._max_backoff = max_backoff
        self._advice = advice
        self._monotonic = monotonic
        self._draw = draw
        self._ready: deque[Lane] = deque()
        self._queued: set[Lane] = set()
        self._resting: list[Lane] = []
        self._threads = 0
        self._idle = 0
        self._stopped = False
        self._gate_at = 0.0
        self._gate_failures = 0
        self._gate_set = 0.0
        self._running = 0
        self._worked_at = 0.0
        self._looked_at = -_POLL
        self._looking = False

    # ---- from any thread ----

    def wake(self) -> None:
        """Make the sender look for work now; start it when it does not run. Never raises."""
        with self.progress:
            self.asleep = False
            self._worked_at = self._monotonic()
            if self._threads == 0 and not self._stopped:
                self._start_thread()
            self._work_there.notify()

    def stop(self, timeout: float) -> None:
        """Let the threads end; wait for them up to `timeout` seconds."""
        deadline = self._monotonic() + timeout
        with self.progress:
            self._stopped = True
            self._work_there.notify_all()
            while self._threads and (left := deadline - self._monotonic()) > 0:
                self.progress.wait(left)
            transport, self._transport = (self._transport, None) if not self._threads else (None, None)
        if transport is not None:
            transport.close()

    def work_until(self, over: Callable[[], bool]) -> None:
        """Deliver on the calling thread until a condition holds: for an interpreter that starts no more threads."""
        token = _context.quiet.set(True)
        try:
            while not over():
                self._step(wait=_BRISK)
        finally:
            _context.quiet.reset(token)

    @property
    def is_running(self) -> bool:
        """Say whether a thread delivers."""
        return self._threads > 0

    # ---- the threads ----

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name="mission_tracer.sender", daemon=True)
        self._threads += 1
        try:
            thread.start()
        except RuntimeError as error:
            # No thread to be had (a limit, or the interpreter is ending): what is recorded waits in the journal.
            self._threads -= 1
            self._notices.say("debug", "no sender thread", cause="thread", why=str(error))

    def _work(self) -> None:
        _context.quiet.set(True)
        first = False
        idle_since = self._monotonic()
        try:
            while not self._stopped:
                try:
                    first = first or self._is_first()
                    if self._step(wait=None if first else _LEISURE):
                        idle_since = self._monotonic()
                    elif not first and self._monotonic() - idle_since >= _LEISURE:
                        return
                except BaseException as error:  # noqa: BLE001 - the sender must outlive whatever happens in it
                    self._notices.say("error", "the sender met an error and goes on", cause="sender", why=repr(error))
                    time.sleep(_BRISK)  # whatever it is, not in a hot loop
        finally:
            with self.progress:
                self._threads -= 1
                self.progress.notify_all()

    def _is_first(self) -> bool:
        return self._threads == 1

    def _step(self, *, wait: float | None) -> bool:
        """Deliver one fact, or wait for one; say whether there was one."""
        self._look()
        with self.progress:
            found = self._take()
            if found is None:
                self._wait(wait)
                return False
            self._running += 1
            if self._ready and not self._gate_failures:
                if self._idle:
                    self._work_there.notify()
                elif self._threads < MAX_THREADS:
                    self._start_thread()
        lane, item = found
        if item is None:
            self._release(lane)
        else:
            self._deliver(lane, item)
        return True

    def _deliver(self, lane: Lane, item: Item) -> None:
        started = self._monotonic()
        pause: Pause | None = Pause("the sender was interrupted")
        try:
            if self._transport is None:
                self._open_transport()
            assert self._transport is not None
            pause = lane.run(item, self._transport.exchange)
        finally:
            with self.progress:
                self._running -= 1
                self._settle(lane, item, pause, started)
                self.progress.notify_all()

    def _release(self, lane: Lane) -> None:
        try:
            self._lanes.release(lane)
        finally:
            with self.progress:
                self._running -= 1
                lane.running -= 1
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
            if self._looking:
                return
            self._looking = True
            everything = now - self._looked_at >= _POLL
            if everything:
                self._looked_at = now
        try:
            lanes = self._lanes.renew(everything=everything)
        except BaseException:
            with self.progress:
                self._looking = False
            raise
        with self.progress:
            self._looking = False
            for lane in lanes:
                self._queue(lane)

    def _open_transport(self) -> None:
        self.is_opening = True
        try:
            transport = self._make_transport()
        finally:
            self.is_opening = False
            self.acknowledged_at = self._monotonic()  # nobody is kept waiting by the server before this
        with self.progress:
            if self._transport is None:
                self._transport = transport
                return
        transport.close()

    # ---- under the lock ----

    def _take(self) -> tuple[Lane, Item | None] | None:
        """Choose a lane and its next fact; no fact: the lane is drained and its run over."""
        now = self._monotonic()
        if now < self._gate_at or (self._gate_failures and self._running):
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
                if lane.is_over():
                    lane.running += 1
                    return lane, None
            except OSError as error:
                self._notices.say("warning", "a journal cannot be read", cause="read", run=lane.key, why=str(error))
                lane.next_at = now + self._max_backoff
            if lane.next_at > now:
                self._resting.append(lane)
        return None

    def _queue(self, lane: Lane) -> None:
        if lane not in self._queued:
            self._queued.add(lane)
            self._ready.append(lane)

    def _wait(self, most: float | None) -> None:
        now = self._monotonic()
        brisk = now - self._worked_at < _AWAKE
        timeout = _BRISK if brisk else _POLL
        for due in [lane.next_at for lane in self._resting] + [self._gate_at]:
            if due > now:
                timeout = min(timeout, due - now)
        if most is not None:
            timeout = most if most < timeout or not brisk else timeout
        self._idle += 1
        self.asleep = not brisk
        try:
            self._work_there.wait(max(timeout, 0.001))
        finally:
            self._idle -= 1

    def _settle(self, lane: Lane, item: Item, pause: Pause | None, started: float) -> None:
        now = self._monotonic()
        lane.give_back(item)
        if pause is None:
            self.acknowledged_at = now
            self._gate_failures, self._gate_at, lane.failures = 0, 0.0, 0
            self.locked_out = False
            self._queue(lane)
            return
        if pause.everywhere:
            self._close_gate(pause, now, started)
        else:
            lane.failures += 1
            lane.next_at = now + self._pause_length(pause, lane.failures)
        self._say(lane, pause)
        self._queue(lane)

    def _close_gate(self, pause: Pause, now: float, started: float) -> None:
        """Keep everyone from a server that is out of reach; one request at a time then tries whether it is back."""
        self.locked_out = pause.locked_out
        if started >= self._gate_set:
            self._gate_failures += 1
            self._gate_set = now
            self._gate_at = now + self._pause_length(pause, self._gate_failures)

    def _pause_length(self, pause: Pause, failures: int) -> float:
        if pause.delay is not None:
            return pause.delay
        return delay(failures, random=self._draw, most=self._max_backoff, asked=pause.asked)

    def _say(self, lane: Lane, pause: Pause) -> None:
        if pause.locked_out:
            self._notices.say(
                "error", f"the server refuses the API key; {self._advice}", cause="key", once=True, why=pause.why
            )
        elif not pause.quiet:
            where = "server" if pause.everywhere else "run"
            self._notices.say(
                "warning",
                "the Missions API cannot take this now; everything is kept and tried again",
                cause=where,
                run=lane.key,
                why=pause.why,
            )
