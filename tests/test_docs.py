"""What the documentation shows is true: every Python block of README.md and docs/ runs, every link leads somewhere."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from mission_tracer import settings
from mission_tracer.instrument import IntegrationError

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")


@pytest.fixture
def logging_is_restored() -> Iterator[None]:
    """Undo what a page does to the whole process's logging."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("logging_is_restored")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks of a page run one after the other, in one namespace."""
    text = page.read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MISSION_TRACER_LOG_LEVEL", "off")
    namespace: dict[str, object] = {"__name__": f"docs_{page.stem}"}
    for found in BLOCK.finditer(text):
        if "no-run" in found[1]:
            continue
        line = text.count("\n", 0, found.start(2))
        code = compile("\n" * line + found[2], str(page), "exec", dont_inherit=True)
        try:
            exec(code, namespace)
        except IntegrationError as error:
            pytest.skip(str(error))
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("mission_tracer"):
                raise
            pytest.skip(f"needs {error.name}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that exists."""
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


def test_settings_page_is_the_table() -> None:
    """The settings page shows the table that the code makes."""
    assert settings.table() in (ROOT / "docs" / "settings.md").read_text()
