"""Wait until runs are delivered, by this process or by another one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from mission_tracer import _context
from mission_tracer._disk.delivery_log import LogFollower
from mission_tracer.facts import MEMORY

if TYPE_CHECKING:
    from mission_tracer._recording.delivery import Delivery

GLANCE = 0.02  # how often it is looked, in seconds


class Wait:
    """Wait for runs, up to what was recorded when the wait began.

    All of them have to be delivered, so only one is looked at at a time, however many there are. What runs on a
    sender's thread, such as a destructor that is called there, does not wait: nobody else would deliver meanwhile.

    Args:
        delivery: Who delivers them.
        keys: The runs.
        timeout: The longest wait, in seconds.
        stall: Give up after so many seconds without an acknowledgement; `None`: never.
        leave_to_others: True: do not wait for runs that another living process delivers.
        monotonic: Seconds that never go back.
    """

    def __init__(
        self,
        delivery: Delivery,
        keys: Iterable[str],
        *,
        timeout: float,
        stall: float | None,
        leave_to_others: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._delivery = delivery
        self._waiting = [_Awaited(delivery, key, leave_to_others=leave_to_others) for key in keys]
        self._hopeless = False
        self._stall = stall
        self._monotonic = monotonic
        self._started = monotonic()
        self._deadline = self._started + (0.0 if _context.quiet.get() else timeout)

    def wait(self) -> bool:
        """Wait; say whether everything is delivered or refused for good."""
        delivery = self._delivery
        if not self._is_over():
            if delivery.sends:
                delivery.sender.hurry()
                if not delivery.sender.is_running:
                    delivery.sender.work_until(self._is_over, left=self._left)
            while not self._is_over():
                if delivery.sends and delivery.roster.has_news:
                    delivery.sender.wake()
                with delivery.sender.progress:
                    delivery.sender.progress.wait(max(0.0, min(self._left(), GLANCE)))
        return not self._waiting and not self._hopeless

    def _left(self) -> float:
        left = self._deadline - self._monotonic()
        if self._stall is not None and not self._delivery.sender.wire.is_opening:
            left = min(left, self._moved_at() + self._stall - self._monotonic())
        return left

    def _moved_at(self) -> float:
        sender = self._delivery.sender
        # Nobody is kept waiting by the server before the wire to it is open.
        return max(sender.acknowledged_at, sender.wire.opened_at, self._started)

    def _is_over(self) -> bool:
        while self._waiting:
            awaited = self._waiting[-1]
            if awaited.is_delivered():
                pass
            elif not awaited.is_hopeful():
                self._hopeless = True
            else:
                break
            self._waiting.pop()
        return not self._waiting or self._left() <= 0


class _Awaited:
    """One run that is waited for."""

    __slots__ = ("_delivery", "_ends", "_follower", "_key", "_leave_to_others")

    def __init__(self, delivery: Delivery, key: str, *, leave_to_others: bool) -> None:
        self._delivery = delivery
        self._key = key
        self._leave_to_others = leave_to_others
        own = delivery.roster.own(key)
        self._ends = own.stream.journal.ends() if own is not None and own.stream is not None else None
        self._follower: LogFollower | None = None

    def is_delivered(self) -> bool:
        """Say whether the run's facts are delivered or refused for good."""
        roster, key = self._delivery.roster, self._key
        if roster.own(key) is None:
            return True
        if self._ends is None:
            # Of a run that nobody here writes any more, everything.
            self._ends = self._delivery.measure(key), MEMORY
        lane = roster.lane(key)
        if lane is not None:
            return lane.has_delivered(self._ends)
        if roster.is_elsewhere(key):
            if self._leave_to_others:
                return True
            roster.look_again()  # it is ours as soon as the other one ends
        return self._is_delivered_elsewhere()

    def _is_delivered_elsewhere(self) -> bool:
        """Read in the delivery log how far another process is; facts held in memory here are not in its reach."""
        directory = self._delivery.directory
        if directory is None or self._ends is None:
            return False
        if self._ends[1] > MEMORY:
            own = self._delivery.roster.own(self._key)
            if own is not None and own.stream is not None and own.stream.journal.memory.first < self._ends[1]:
                return False
            self._ends = self._delivery.measure(self._key), MEMORY  # the disk took them after all
        try:
            self._follower = self._follower or LogFollower(directory.log(self._key))
            return self._follower.cursor() >= self._ends[0]
        except OSError:
            return directory.find(self._key) is not None and not directory.journal(self._key).exists()

    def is_hopeful(self) -> bool:
        """Say whether waiting may help: somebody sends, the key is accepted, the run is not parked."""
        delivery = self._delivery
        own, lane = delivery.roster.own(self._key), delivery.roster.lane(self._key)
        if delivery.is_offline or delivery.sender.locked_out or (own is not None and own.parked is not None):
            return False
        if lane is not None and (lane.state.parked is not None or lane.locked_out):
            return False
        return self._follower is None or self._follower.parked is None
