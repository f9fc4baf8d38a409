"""(d) What importing and installing costs."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.columns import Column

TITLE = "Import and installed size"
ABOUT = (
    "Milliseconds above a bare interpreter, with the files compiled, from an environment that holds nothing but the"
    " package and what it requires; MB of that environment without pip and setuptools. mission_tracer imports wrapt"
    " and the HTTP library when it first needs them; LangSmith imports next to nothing until it is used."
)
UNIT = "ms"
METRICS = ("import ms", "installed MB", "packages")
ONLY = ("wrapt", "ours", "otel", "langfuse", "langsmith", "logfire", "opik", "mlflow", "telnyx")
_TOOLS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence.pth", "__pycache__")


def cases(*, quick: bool) -> dict[str, dict[str, Any]]:
    return {"import": {"times": 1 if quick else 7}}


def measure(column: Column, python: Path, *, times: int) -> dict[str, float]:
    # Taking turns: a machine that is slow for a while is so for both.
    pairs = [(_seconds(python, "pass"), _seconds(python, f"import {column.imports}")) for _ in range(times)]
    bare, full = map(min, zip(*pairs, strict=True))
    site = next((python.parent.parent / "lib").glob("python*/site-packages"))
    kept = [path for path in site.iterdir() if path.name.split("-")[0] not in _TOOLS]
    size = sum(file.stat().st_size for path in kept for file in ([path] if path.is_file() else path.rglob("*")))
    packages = len([path for path in kept if path.suffix == ".dist-info"])
    return {"import ms": (full - bare) * 1000, "installed MB": size / 1e6, "packages": packages}


def _seconds(python: Path, code: str) -> float:
    began = time.perf_counter()
    subprocess.run([str(python), "-I", "-c", code], check=True, capture_output=True)
    return time.perf_counter() - began
