"""Decide which step an entry is: the planned one, a new one of a loop, or another attempt of a failed one. Pure."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Repeat: TypeAlias = Literal["reopen", "new"]
"""What entering a step again means: another attempt of the same step, or a further step."""


class StepTable(Struct):
    """Keep, for one run, each step's status, and which step a name means at the moment.

    Attributes:
        status: Step id -> status.
        attempts: Step id -> the latest attempt, of those that began again.
        names: Name -> the newest step entered under it, and the number its successor comes after.
    """

    status: dict[str, str] = {}
    attempts: dict[str, int] = {}
    names: dict[str, tuple[str, int]] = {}

    def plan(self, step_id: str) -> bool:
        """Take in a declared step; say whether it is new."""
        if step_id in self.status:
            return False
        self.status[step_id] = "pending"
        return True

    def enter(self, name: str, repeat: Repeat | None = None) -> tuple[str, int]:
        """Return the id and the attempt of the step that an entry under a name means, and take it as begun.

        A step that failed is entered again, one that ended otherwise or is still open gets a successor
        (`name-2`, `name-3`, ...); `repeat` overrides that for a step that ended.
        """
        step_id, number = self.names.get(name, (name, 1))
        status = self.status.get(step_id, "pending")
        attempt = 1
        again = repeat == "reopen" or (repeat is None and status == "failed")
        if again and status not in ("pending", "in_progress"):
            attempt = self.attempts[step_id] = self.attempts.get(step_id, 1) + 1
        else:
            while status != "pending":  # a planned step that has the successor's very name is the one that is meant
                number += 1
                step_id = f"{name}-{number}"
                status = self.status.get(step_id, "pending")
        self.names[name] = step_id, number
        self.status[step_id] = "in_progress"
        return step_id, attempt

    def entered(self, step_id: str, name: str, attempt: int) -> None:
        """Take in that another process entered a step under a name."""
        self.names[name] = step_id, self.names.get(name, ("", 1))[1]
        self.status[step_id] = "in_progress"
        if attempt > 1:
            self.attempts[step_id] = attempt

    def left(self, step_id: str, status: str) -> None:
        """Take in that a step ended."""
        self.status[step_id] = status
