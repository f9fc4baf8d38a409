"""What wakes the sender's threads."""

from __future__ import annotations

import threading
import time

from mission_tracer._sending.sender_bell import Bell


def test_a_ring_before_the_wait_is_heard() -> None:
    """Ringing wakes who comes to wait later; several rings that nobody has heard are one."""
    bell = Bell()
    bell.ring()
    bell.ring()
    started = time.monotonic()
    bell.wait(30)
    assert time.monotonic() - started < 10
    bell.wait(0.01)  # nothing is left of the second one


def test_a_wait_ends_in_time_whoever_else_waits() -> None:
    """Many threads that wait and ring all the time never wait longer than they want to."""
    bell, longest, over = Bell(), [0.0], time.monotonic() + 1.0

    def wait() -> None:
        while time.monotonic() < over:
            started = time.monotonic()
            bell.wait(0.002)
            longest[0] = max(longest[0], time.monotonic() - started)
            bell.ring()

    threads = [threading.Thread(target=wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert longest[0] < 5
