"""The decorators keep types: the golden files hold every kind of callable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TYPING = Path(__file__).parent.parent / "typing"

EXPRESSIONS = {
    "function": ("bare", "city: str, limit: int"),
    "coroutine": ("coroutine", "list[str]]"),
    "coroutine function with arguments": ("coroutine_with_arguments", "(city: str) -> "),
    "generator": ("generator", "(count: int) -> Generator[int, str, bool]"),
    "async generator": ("async_generator", "(count: int) -> AsyncIterator[int]"),
    "method": ("agent.method", "(one: int) -> str"),
    "class method": ("Agent.class_above", "(one: int) -> str"),
    "static method": ("Agent.static_above", "(one: int) -> str"),
    "block of a run": ("run", "Run"),
    "block of a step": ("step", "Step"),
    "block of a tool call": ("call", "ToolCall"),
}


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
@pytest.mark.parametrize(("expression", "shown"), EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_row_18_types_are_kept(checker: str, expression: str, shown: str) -> None:
    """What a strict checker reveals of each kind, as the golden files hold it (`tests/typing` holds them true)."""
    golden = (TYPING / "golden" / f"{checker}.txt").read_text()
    for case in ("functions", "methods", "blocks"):
        lines = (TYPING / "cases" / f"{case}.py").read_text().splitlines()
        for number, line in enumerate(lines, start=1):
            if line.strip() == f"reveal_type({expression})":
                [found] = re.findall(rf"^{case}:{number:03}: (.*)$", golden, re.MULTILINE)
                assert shown in found
                return
    pytest.fail(f"no case reveals {expression}")
