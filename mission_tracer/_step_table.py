"""Decide which step an entry is: the planned one, a new one of a loop, or another attempt of a failed one. Pure."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Repeat: TypeAlias = Literal["reopen", "new"]
"""What entering a step again means: another attempt of the same step, or a further step."""


class StepTable(Struct):
    """Keep, for one run, each step's status and attempts, and the newest step of each name."""

    status: dict[str, str] = {}
    attempts: dict[str, int] = {}
    newest: dict[str, str] = {}
    numbers: dict[str, int] = {}

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
        step_id = self.newest.get(name, name)
        status = self.status.get(step_id)
        if status is not None and status != "pending":
            reopen = repeat == "reopen" or (repeat is None and status == "failed")
            if status == "in_progress" or not reopen:
                step_id = self._successor(name)
        attempt = self.attempts.get(step_id, 0) + 1
        self.entered(step_id, name, attempt)
        return step_id, attempt

    def entered(self, step_id: str, name: str, attempt: int) -> None:
        """Take in that a step was entered under a name."""
        self.newest[name] = step_id
        self.status[step_id] = "in_progress"
        self.attempts[step_id] = attempt

    def left(self, step_id: str, status: str) -> None:
        """Take in that a step ended."""
        self.status[step_id] = status

    def _successor(self, name: str) -> str:
        number = self.numbers.get(name, 1)
        while True:
            number += 1
            step_id = f"{name}-{number}"
            # A planned step of that very name is the one that is meant.
            if self.status.get(step_id, "pending") == "pending":
                self.numbers[name] = number
                return step_id
