"""What capture costs on the caller's thread: microseconds a value. Run: python benchmarks/capture.py."""

from __future__ import annotations

import timeit
from dataclasses import dataclass
from typing import Any

import msgspec

from mission_tracer._capture import Capture
from mission_tracer._redact import Redaction

REPEAT = 15
SECONDS = 0.02


@dataclass
class Quote:
    company: str
    price: int


def search(city: str, limit: int = 10, **options: Any) -> list[str]:
    return [city] * limit if options else []


def best(work: Any) -> float:
    """Time a call: the best of several rounds, in microseconds."""
    timer = timeit.Timer(work)
    number = max(1, int(SECONDS / max(timer.timeit(1), 1e-7)))
    return min(timer.repeat(REPEAT, number)) / number * 1e6


def main() -> None:
    capture = Capture(redaction=Redaction.default(secrets=["KEY" + "0123456789ABCDEF" * 2 + "_abcdefghijklmnopqrstuv"]))
    huge = dict.fromkeys(range(1_000_000))
    long = "lorem ipsum " * 8_500_000
    row = {"city": "Chicago", "limit": 10, "tags": ["a", "b"]}
    error = ValueError("no contractor answered")
    cases: dict[str, Any] = {
        "msgspec.json.encode of the small dict": lambda: msgspec.json.encode(row),
        "redact a short text": lambda: capture.redaction.text("window washers in Chicago"),
        "redact a short text with a colon": lambda: capture.redaction.text("Found 12 contractors: ABC Cleaning"),
        "value: short text": lambda: capture.value("Chicago"),
        "value: small dict": lambda: capture.value(row),
        "value: dataclass": lambda: capture.value(Quote("ABC Cleaning", 350)),
        "value: object()": lambda: capture.value(object()),
        "value: 20 rows": lambda: capture.value([row] * 20),
        "value: 10,000 rows": lambda: capture.value([row] * 10_000),
        "value: dict of 1,000,000": lambda: capture.value(huge),
        "value: text of 100 MB": lambda: capture.value(long),
        "arguments: f('Chicago', 2)": lambda: capture.arguments(search, ("Chicago", 2), {}),
        "arguments: f('Chicago', page=2)": lambda: capture.arguments(search, ("Chicago",), {"page": 2}),
        "summary of a small dict": lambda: capture.summary({"best": "ABC Cleaning", "quote": 350}),
        "error line": lambda: capture.error(error),
        "exception": lambda: capture.exception(error),
    }
    for name, work in cases.items():
        print(f"{name:40}{best(work):12.2f} us")


if __name__ == "__main__":
    main()
