"""Say which of our own targets the figures meet."""

from __future__ import annotations

from benchmarks.page import Results, number

_COST = "caller_cost"
_SPAN = 17.0  # µs; what an OpenTelemetry span costs its caller on the machine for which the limits were set


def verdicts(results: Results) -> list[str]:
    """Write the table of targets; those that were not measured are left out."""

    def middle(row: str, case: str, column: str, metric: str) -> float | None:
        return results.middle(row, case, column, metric)

    def ratio(mine: float | None, other: float | None) -> float | None:
        return mine / other if mine is not None and other else None

    def more(mine: float | None, other: float | None) -> float | None:
        return mine - other if mine is not None and other is not None else None

    e2e = "10,000 records"
    log, step = "log_event", "step"
    wanted = (
        ("`log_event`, median, µs", "at most", 4.0, middle(_COST, log, "ours", "p50")),
        ("`log_event`, times `functools.wraps`", "at most", 12.0,
         ratio(middle(_COST, log, "ours", "p50"), middle(_COST, log, "wraps", "p50"))),
        ("a step (two facts), median, µs", "at most", 8.0, middle(_COST, step, "ours", "p50")),
        ("a step, p99.9, µs", "at most", 200.0, middle(_COST, step, "ours", "p99.9")),
        ("disabled, above wrapt alone, µs", "at most", 0.3,
         more(middle(_COST, step, "ours-disabled", "p50"), middle(_COST, step, "wrapt", "p50"))),
        ("10,000 events, CPU of the telnyx SDK in line by ours", "at least", 2.0,
         ratio(middle("end_to_end", e2e, "telnyx", "CPU s"), middle("end_to_end", e2e, "ours", "CPU s"))),
        ("10,000 events, delivered", "at least", 10_000.0, middle("end_to_end", e2e, "ours", "delivered")),
        ("events/s at 50 ms, one run", "at least", 120.0, middle("drain", "50 ms, one run", "ours", "events/s")),
        ("events/s at 50 ms, 50 runs", "at least", 600.0, middle("drain", "50 ms, 50 runs", "ours", "events/s")),
        ("import, ms above a bare interpreter", "at most", 90.0, middle("imports", "import", "ours", "import ms")),
        ("import, times OpenTelemetry's SDK", "at most", 1.0,
         ratio(middle("imports", "import", "ours", "import ms"), middle("imports", "import", "otel", "import ms"))),
        ("installed, MB", "at most", 12.0, middle("imports", "import", "ours", "installed MB")),
        ("ten idle seconds, wake-ups", "at most", 10.0, middle("idle", "idle", "ours", "wake-ups")),
        ("ten idle seconds, CPU ms", "at most", 1.0, middle("idle", "idle", "ours", "CPU ms")),
    )  # fmt: skip
    lines = []
    for what, how, limit, figure in wanted:
        if figure is not None:
            met = figure <= limit if how == "at most" else figure >= limit
            lines.append(f"| {what} | {how} {number(limit)} | {number(figure)} | {'met' if met else '**not met**'} |")
    if not lines:
        return []
    table = ["## Our targets", "", "| target | limit | measured | |", "|---|---:|---:|---|", *lines, ""]
    span = middle(_COST, step, "otel", "p50")
    if span is None:
        return table
    there = f"The limits were set where a span of the OpenTelemetry SDK costs its caller {number(_SPAN)} µs"
    return [*table, f"{there}; on this machine it costs {number(span)}.", ""]
