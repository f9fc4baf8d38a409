"""What the documentation shows is true: every Python block of README.md and docs/ runs, every link leads somewhere."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

import mission_tracer as mt
from mission_tracer import settings
from mission_tracer.instrument import IntegrationError
from mission_tracer.testing import recording

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")
ANCHOR = re.compile(r"\]\((?!https?:)([^)#]*)#([^)]+)\)")


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
    """Every relative link of a page names a file that exists, and a heading that the file has."""
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target
    for target, anchor in ANCHOR.findall(page.read_text()):
        text = (page.parent / target).read_text() if target else page.read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert anchor in {re.sub(r"[^\w\- ]", "", each).lower().replace(" ", "-") for each in headings}, anchor


def test_settings_page_is_the_table() -> None:
    """The settings page shows the table that the code makes."""
    assert settings.table() in (ROOT / "docs" / "settings.md").read_text()


def test_the_reference_names_everything() -> None:
    """Whatever the package exports stands in the reference, and nothing else does as a name of the package."""
    page = (ROOT / "docs" / "reference.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert set(mt.__all__) <= named
    arguments = {"summary", "type", "payload", "step", "agent_id", "idempotency_key"}
    assert named - arguments <= set(mt.__all__)


@pytest.mark.parametrize("handle", [mt.Run, mt.Step, mt.ToolCall], ids=lambda handle: handle.__name__)
def test_the_reference_shows_what_handles_have(handle: type) -> None:
    """What the reference says of a handle is there, with the arguments it is said to have."""
    page = (ROOT / "docs" / "reference.md").read_text()
    name = {"Run": "run", "Step": "step", "ToolCall": "tool"}[handle.__name__]
    shown = re.findall(rf"`(?:await )?{name}\.(\w+)(?:\(([^`]*)\))?`", page)
    assert shown
    made = recorded_handle(handle)
    for member, arguments in shown:
        assert hasattr(made, member), member
        if arguments and "..." not in arguments:
            said = inspect.signature(getattr(made, member))
            assert [str(each).partition(":")[0].partition("=")[0].strip() for each in said.parameters.values()] == [
                each.partition("=")[0].strip() for each in arguments.split(",")
            ], member


def recorded_handle(handle: type) -> object:
    with recording(), mt.mission_run("a") as run, mt.plan_step("b") as step, mt.tool_call("c") as tool:
        return {mt.Run: run, mt.Step: step, mt.ToolCall: tool}[handle]


def test_every_page_is_one_hop_from_the_readme() -> None:
    """README.md links to every page of docs/."""
    linked = set(LINK.findall((ROOT / "README.md").read_text()))
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked
