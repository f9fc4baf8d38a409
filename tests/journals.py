"""What the tests of journals share: facts as a recorder writes them, and what a file says."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from hypothesis import strategies as st

from mission_tracer import facts
from mission_tracer._disk.journal import iterate_lines

AT = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30)


def fact(number: int, text: str = "") -> bytes:
    """Write one fact's line, as a recorder does."""
    return facts.encode(facts.EventWritten(id=f"writer00.{number}", at=AT, body=facts.EventBody("custom", text or "x")))


FACTS = st.lists(TEXTS, max_size=6).map(lambda texts: [fact(n, text) for n, text in enumerate(texts)])


def contents(path: Path) -> list[bytes]:
    """Read what a file's lines say; a torn line says nothing."""
    return [line.content for line in iterate_lines(path) if line.content]


def ids(path: Path) -> list[str]:
    """Read which facts are in a file, as everyone reads them."""
    found = [facts.read(line) for line in contents(path)]
    return [each.id for each in found if each is not None]
