"""Say how long to wait before the next attempt: exponential, full jitter, never less than the server asked for."""

from __future__ import annotations

from collections.abc import Callable


def delay(
    attempt: int, *, random: Callable[[], float], first: float = 0.2, most: float = 60.0, asked: float | None = None
) -> float:
    """Return the seconds to wait before attempt number `attempt + 1`.

    Full jitter (a uniform draw from nothing to the exponential bound) spreads many clients best; a tenth of it is the
    floor here, so that a single client never spins.

    Args:
        attempt: How many attempts have failed so far, 1 or more.
        random: Draws from 0 to 1.
        first: The bound of the first wait, in seconds.
        most: The bound of every wait, in seconds.
        asked: What the server asked for (Retry-After), in seconds; `None`: nothing.
    """
    bound = min(most, first * 2.0 ** min(attempt - 1, 30))
    drawn = bound * (0.1 + 0.9 * random())
    return max(drawn, asked or 0.0)
