"""The benchmarks run, write their page, and notice a gross loss of speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import guard
from benchmarks.page import Results, number
from benchmarks.sink import running
from benchmarks.targets import verdicts
from tests.processes import ROOT, environment, run


@pytest.mark.slow
def test_one_command_writes_the_page(tmp_path: Path) -> None:
    """Running the benchmarks quickly, without environments, writes a page with the tables that were asked for."""
    page = tmp_path / "benchmarks.md"
    words = ["--quick", "--here", "--columns", "wraps", "ours", "--rows", "caller_cost", "end_to_end", "exits"]
    done = run(
        [sys.executable, "-m", "benchmarks", *words, "--environments", str(tmp_path), "--out", str(page)],
        environment(tmp_path / "state"),
        cwd=ROOT,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert "python -m benchmarks --rows caller_cost --quick" in text
    rows = [line for line in text.splitlines() if line.startswith("| **mission_tracer** |")]
    assert len(rows) == 9  # the ratios, six shapes of a call, end to end, and the exit
    assert not any("nan" in row for row in rows)
    assert [row for row in rows if row.endswith("| 500 |")], "the sink counts what was delivered"


def test_the_guard_holds_the_stored_ratios() -> None:
    """Recording costs at most twice what is stored, measured against a yardstick."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.guard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_guard_notices_a_gross_loss() -> None:
    """A ratio of more than twice the stored one is a failure that names what was lost; a smaller one is none."""
    assert guard.verdicts({"step": 1.9}, {"step": 1.0}) == []
    [said] = guard.verdicts({"step": 2.1}, {"step": 1.0})
    assert "step" in said
    for ratios in json.loads(guard.STORED.read_text()).values():
        assert ratios.keys() == {"log_event", "step", "tool_call", "disabled"}


def test_the_sink_counts_each_record_once() -> None:
    """The sink counts requests, and each record by its name however often it comes."""
    import httpx

    with running() as sink, httpx.Client() as client:
        for name in ("record-000001", "record-000001", "record-000002"):
            assert client.post(f"{sink.url}/v2/ai/missions/m/runs/r/events", json={"summary": name}).status_code == 201
        assert sink.count() == {"requests": 3, "records": 2}


def test_medians_make_verdicts(tmp_path: Path) -> None:
    """A target is met by the median of its figures, and says so with the figure; what was not measured is left out."""
    results = Results(tmp_path / "results.json")
    results.begin("idle", "python -m benchmarks --rows idle")
    for woken in (1.0, 2.0, 300.0):
        results.add("idle", "idle", "ours", {"wake-ups": woken})
    [line] = [line for line in verdicts(results) if "wake-ups" in line]
    assert line.endswith("| 2.00 | met |")
    assert not [line for line in verdicts(results) if "import" in line]
    results.save()
    assert Results(tmp_path / "results.json").middle("idle", "idle", "ours", "wake-ups") == 2.0


@pytest.mark.parametrize(("figure", "text"), [(None, "-"), (1234.5, "1,234"), (12.34, "12.3"), (1.234, "1.23")])
def test_figures_have_three_digits(figure: float | None, text: str) -> None:
    """A figure is written with about three digits."""
    assert number(figure) == text
