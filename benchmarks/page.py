"""Write the measurements down: `docs/benchmarks.md`, and on the terminal while they are made."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

from benchmarks.columns import COLUMNS

BASELINE = "wraps"
Figures = dict[str, dict[str, dict[str, list[float]]]]  # case -> column -> metric -> one figure a run


class Results:
    """Collect the figures of every row, and why some are missing; they are kept in a file beside the environments.

    Args:
        path: That file; rows that are not measured again keep their figures from it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        self.rows: dict[str, Figures] = kept.get("rows", {})
        self.missing: dict[str, dict[str, dict[str, str]]] = kept.get("missing", {})
        self.commands: dict[str, str] = kept.get("commands", {})
        self.texts: dict[str, str] = kept.get("texts", {})
        self.about: dict[str, str] = kept.get("about", {})

    def begin(self, row: str, command: str) -> None:
        """Forget what an earlier run said of a row."""
        self.rows[row], self.missing[row], self.commands[row] = {}, {}, command

    def add(self, row: str, case: str, column: str, figures: Mapping[str, float]) -> None:
        """Take in one run's figures."""
        metrics = self.rows[row].setdefault(case, {}).setdefault(column, {})
        for metric, figure in figures.items():
            metrics.setdefault(metric, []).append(figure)

    def save(self) -> None:
        """Keep everything for the next time."""
        self.path.write_text(json.dumps(vars(self) | {"path": None}))

    def middle(self, row: str, case: str, column: str, metric: str) -> float | None:
        """Return the median of a figure; `None` when it was not measured."""
        found = self.rows.get(row, {}).get(case, {}).get(column, {}).get(metric)
        return median(found) if found else None


def number(figure: float | None) -> str:
    """Write a figure with about three digits that mean something."""
    if figure is None:
        return "-"
    if abs(figure) >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if abs(figure) >= 10 else f"{figure:.2f}"


def section(results: Results, name: str, row: ModuleType) -> list[str]:
    """Write one row's tables: the ratios first, then the figures they come from."""
    found = results.rows.get(name)
    if not found:
        return []
    lines = [f"## {row.TITLE}", "", row.ABOUT, "", f"Made by `{results.commands[name]}`.", ""]
    if name == "caller_cost":
        lines += [*_ratios(results, name), ""]
    for case in found:
        columns = [column for column in COLUMNS if column in found[case]]
        counts = sorted({len(values) for column in columns for values in found[case][column].values()})
        runs = f"{counts[0]} to {counts[-1]} runs" if len(counts) > 1 else f"{counts[0]} run{'s' * (counts[0] > 1)}"
        unit = f" ({row.UNIT})" if row.UNIT else ""
        lines += [f"### {case[0].upper()}{case[1:]}{unit}, median of {runs}", ""]
        lines += _table("", row.METRICS, {
            COLUMNS[column].title: [number(results.middle(name, case, column, metric)) for metric in row.METRICS]
            for column in columns
        })  # fmt: skip
        lines.append("")
    for column, reasons in results.missing.get(name, {}).items():
        lines += [text for case, why in reasons.items() for text in (f"{COLUMNS[column].title}, {case}: {why}.", "")]
    return lines


def _ratios(results: Results, name: str) -> list[str]:
    """Compare the added cost with that of `functools.wraps`, shape by shape."""
    cases = list(results.rows[name])
    table = {}
    for column in COLUMNS:
        cells = []
        for case in cases:
            base, mine = (results.middle(name, case, which, "p50") for which in (BASELINE, column))
            cells.append("-" if mine is None or not base else f"{mine / base:,.0f}x")
        if set(cells) != {"-"}:
            table[COLUMNS[column].title] = cells
    about = "The median call, as a multiple of what an empty `functools.wraps` wrapper adds:"
    return [about, "", *_table("", cases, table)]


def _table(corner: str, heads: Any, rows: Mapping[str, list[str]]) -> list[str]:
    lines = [f"| {corner} | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    return [*lines, *(f"| {title} | {' | '.join(cells)} |" for title, cells in rows.items())]


def page(results: Results, rows: Mapping[str, ModuleType], targets: list[str]) -> str:
    """Write the whole page."""
    lines = [
        "# Benchmarks",
        "",
        "What recording costs, beside what the same costs with other libraries. `python -m benchmarks --out",
        "docs/benchmarks.md` makes this page: each library in a virtual environment of its own, taking turns with the",
        "baseline, medians, a local sink in a process of its own. The sink (`benchmarks/sink.py`) answers the Missions",
        "API well enough for delivery and everybody else with an empty success. Compare within a table only.",
        "",
        f"{results.about.get('machine', '')}",
        "",
        *targets,
    ]
    for name, row in rows.items():
        lines += section(results, name, row)
    for title, text in results.texts.items():
        lines += [f"## {title}", "", f"Made by `{results.commands.get(title, '')}`.", ""]
        lines += ["```text", text.rstrip(), "```", ""]
    if results.about.get("versions"):
        lines += ["## Versions", "", results.about["versions"], ""]
    return "\n".join(lines).rstrip() + "\n"


def machine() -> str:
    """Say what it was measured on."""
    import os

    busy = os.getloadavg()[1]
    said = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}."
    if busy > (os.cpu_count() or 1):
        said += f" The machine was busy with other work (load average {busy:.0f}): every time here is too long."
    return said
