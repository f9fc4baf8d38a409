"""Every integration on at once around one agent: every answer, tool call, log line and error is recorded once."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import facts

from .telling import tell

for library in ("langchain", "langchain_openai", "openai", "anthropic", "requests"):
    pytest.importorskip(library)
pytest.importorskip("openinference.instrumentation.langchain")
pytest.importorskip("opentelemetry.sdk.trace")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Journal = Callable[[], list[facts.Fact]]

AGENT = [
    ("step_entered", "model", None),
    ("message", "model", "calls tools search"),
    ("step_left", "model", "completed"),
    ("step_entered", "tools", None),
    ("tool_call", "tools", "search(city='Chicago')"),
    ("custom", "tools", "searching in Chicago"),
    ("tool_result", "tools", "search: ABC"),
    ("step_left", "tools", "completed"),
    ("step_entered", "model-2", None),
    ("message", "model-2", "calls tools dial"),
    ("step_left", "model-2", "completed"),
    ("step_entered", "tools-2", None),
    ("tool_call", "tools-2", "dial(number='1')"),
    ("custom", "tools-2", "dialling"),
    ("error", "tools-2", "dial: no line is free"),
    ("step_left", "tools-2", "completed"),
    ("step_entered", "model-3", None),
    ("message", "model-3", "ABC is best"),
    ("step_left", "model-3", "completed"),
]

BY_HAND = [
    ("step_entered", "by hand", None),
    ("message", "by hand", "openai answered"),
    ("message", "by hand", "claude answered"),
    ("tool_call", "by hand", "http(method='GET', url='URL/outside-of-a-tool?api_key=[redacted]')"),
    ("tool_result", "by hand", "http: status: 200, content_type: application/json, bytes: 17"),
    ("tool_call", "by hand", "subprocess(command=['python', '-c', ''])"),
    ("tool_result", "by hand", "subprocess: returncode: 0"),
    ("custom", "by hand", "in a thread"),
    ("tool_call", "by hand", "http(method='GET', url='URL/in-a-thread')"),
    ("tool_result", "by hand", "http: status: 200, content_type: application/json, bytes: 17"),
    ("step_left", "by hand", "completed"),
]


def run(how: str) -> str:
    script = Path(__file__).with_name("everything_on.py")
    done = subprocess.run([sys.executable, str(script), how], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def told(journal: Journal) -> list[tuple[Any, ...]]:
    found = []
    for line in tell(journal()):
        text = re.sub(r"http://127.0.0.1:\d+", "URL", str(line[2])) if len(line) > 2 else None
        found.append(line if text is None else (*line[:2], line[2] and text.replace(sys.executable, "python")))
    return found


def test_inside_of_a_run_everything_is_recorded_once(journal: Journal) -> None:
    """An agent, then calls by hand, inside of one run: the whole list, and the ids in the program's own lines."""
    printed = run("run")
    assert told(journal) == [
        ("run_opened", "everything"),
        ("custom", None, "starting"),
        ("PlanDeclared",),
        *AGENT,
        *BY_HAND,
        ("custom", None, "done"),
        ("run_closed", "succeeded", None),
    ]
    [opened] = [f for f in journal() if isinstance(f, facts.RunOpened)]
    lines = [line for line in printed.splitlines() if "starting" in line or "searching" in line]
    assert lines == [f"{opened.key} starting", f"{opened.key} searching in Chicago"]


def test_an_agent_alone_is_one_run(journal: Journal) -> None:
    """With everything on and no run of the program's own, the framework's agent is one run, and the only one."""
    run("alone")
    found = told(journal)
    assert found[:2] == [("run_opened", "quotes"), ("PlanDeclared",)]
    assert found[2:-1] == AGENT
    assert found[-1][:2] == ("run_closed", "succeeded")


def test_everything_on_arrives(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded with everything on is on the server, each event once."""
    monkeypatch.setenv("TELNYX_API_KEY", "K")
    monkeypatch.setenv("TELNYX_BASE_URL", api.base_url)
    run("run")
    mt.configure(api_key="K", base_url=api.base_url)
    found = [(e.type, e.step_id) for e in api.only_run()["events"] if not e.type.startswith("step_")]
    expected = [(kind, step) for kind, step, *_ in (*AGENT, *BY_HAND) if not kind.startswith("step_")]
    assert sorted(found, key=str) == sorted([*expected, ("custom", None), ("custom", None)], key=str)
