"""Measure, and write `docs/benchmarks.md`: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

from benchmarks.columns import COLUMNS, ROOT, UnusableError, interpreter, versions
from benchmarks.page import Results, machine, page
from benchmarks.targets import verdicts

ROWS = ("caller_cost", "end_to_end", "drain", "imports", "outage", "exits", "idle", "losses")
SCRIPTS = {"Capture": "capture.py", "Kinds of callables": "callables.py", "Commands inside a run": "commands.py"}
"""Title -> a script of this directory whose output is shown as it is."""


def main(words: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for, and write the page."""
    given = _parser().parse_args(words)
    given.environments.mkdir(parents=True, exist_ok=True)
    results = Results(given.environments / ("quick.json" if given.quick else "results.json"))
    results.about["machine"] = machine()
    rows: dict[str, ModuleType] = {name: importlib.import_module(f"benchmarks.{name}") for name in ROWS}
    pythons = _pythons(given.columns, given.environments, results, here=given.here)
    runs = 1 if given.quick else given.runs
    for name in given.rows:
        command = f"python -m benchmarks --rows {name}" + (" --quick" if given.quick else f" --runs {given.runs}")
        if set(given.columns) != set(COLUMNS):
            command += f" --columns {' '.join(given.columns)}"
        results.begin(name, command)
        _measure(name, rows[name], pythons, results, runs=runs, quick=given.quick)
        results.save()
    if not given.quick and set(given.rows) == set(ROWS):
        _run_scripts(pythons, results)
        results.save()
    text = page(results, rows, verdicts(results))
    given.out.write_text(text) if given.out else print(text)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS), help="only these; none: only the page")
    parser.add_argument("--columns", nargs="+", choices=list(COLUMNS), default=list(COLUMNS), help="only these")
    parser.add_argument("--runs", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--quick", action="store_true", help="once each, and little: whether it works, in seconds")
    parser.add_argument("--here", action="store_true", help="use this interpreter, no environments (only what it has)")
    parser.add_argument(
        "--environments",
        type=Path,
        default=Path.home() / ".cache" / "mission-tracer-benchmarks",
        help="where the virtual environments and the figures are kept (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, help="write the page to this file, such as docs/benchmarks.md")
    return parser


def _pythons(columns: Sequence[str], place: Path, results: Results, *, here: bool) -> dict[str, Path]:
    """Make the environments; a library that cannot be installed is left out, and said so."""
    found: dict[str, Path] = {}
    ready: dict[str, Path] = {}
    for name in columns:
        column = COLUMNS[name]
        try:
            if column.environment not in ready:
                ready[column.environment] = Path(sys.executable) if here else interpreter(column, place)
            found[name] = ready[column.environment]
        except UnusableError as error:
            results.about["unusable"] = f"{column.title}: {error}"
            print(f"{name}: {error}", file=sys.stderr)
    listed = []
    for name, python in found.items():
        known = versions(python)
        packages = [package for package in COLUMNS[name].packages if package in known]
        listed += [f"{package} {known[package]}" for package in packages]
    results.about["versions"] = ", ".join(sorted(set(listed)))
    return found


def _measure(name: str, row: ModuleType, pythons: dict[str, Path], results: Results, *, runs: int, quick: bool) -> None:
    """Measure a row: run by run, all columns in turn, so that a slower minute of the machine meets them all."""
    columns = [column for column in pythons if column in getattr(row, "ONLY", COLUMNS)]

    def one(case: str, options: dict[str, object], column: str) -> None:
        missing = results.missing[name].setdefault(column, {})
        if case in missing:
            return
        try:
            figures = row.measure(COLUMNS[column], pythons[column], **options)
            parts = {part: some for part, some in figures.items() if isinstance(some, dict)}
            for part, some in (parts or {case: figures}).items():
                results.add(name, part, column, some)
        except UnusableError as error:
            missing[case] = str(error)

    for run in range(runs):
        print(f"{name}: run {run + 1} of {runs}", file=sys.stderr)
        for case, options in row.cases(quick=quick).items():
            if getattr(row, "TOGETHER", False):
                with ThreadPoolExecutor(len(columns)) as pool:
                    list(pool.map(lambda column, c=case, o=options: one(c, o, column), columns))
            else:
                for column in columns:
                    one(case, options, column)
                    results.save()  # what is measured stays, even when the rest is given up


def _run_scripts(pythons: dict[str, Path], results: Results) -> None:
    for title, script in SCRIPTS.items():
        if "ours" in pythons and (ROOT / "benchmarks" / script).exists():
            module = f"benchmarks.{script.removesuffix('.py')}"
            words = [str(pythons["ours"]), "-m", module]
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                results.texts[title], results.commands[title] = done.stdout, f"python -m {module}"


if __name__ == "__main__":
    sys.exit(main())
