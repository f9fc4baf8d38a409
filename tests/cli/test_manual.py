"""docs/cli.md says what the commands say."""

from __future__ import annotations

from pathlib import Path

from mission_tracer.cli import manual

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_every_command_is_documented() -> None:
    """The page's reference is made from the commands.

    To make it anew: `python tests/cli/test_manual.py`.
    """
    page = PAGE.read_text()
    assert page == manual.refreshed(page)


if __name__ == "__main__":
    PAGE.write_text(manual.refreshed(PAGE.read_text()))
