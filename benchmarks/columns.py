"""What is compared, and the virtual environments it runs in: one a library, made once and kept outside the checkout."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Column:
    """One thing that is compared.

    Args:
        title: How the page calls it.
        module: Its file in `peers`.
        packages: What pip installs for it; `.` is this checkout.
        imports: What a program imports to use it.
        variant: Handed to the peer's `start`.
    """

    title: str
    module: str
    packages: tuple[str, ...]
    imports: str
    variant: str = ""

    @property
    def environment(self) -> str:
        """Name the environment's directory; variants of one library share it."""
        return self.module


_OURS = ("ours", (".",), "mission_tracer.decorators")

COLUMNS: dict[str, Column] = {
    "wraps": Column("functools.wraps", "baseline", ("wrapt",), "functools", "wraps"),
    "wrapt": Column("wrapt alone", "baseline", ("wrapt",), "wrapt", "wrapt"),
    "ours": Column("**mission_tracer**", *_OURS, "process"),
    "ours-power": Column("mission_tracer, durability `power`", *_OURS, "power"),
    "ours-memory": Column("mission_tracer, durability `memory`", *_OURS, "memory"),
    "ours-disabled": Column("mission_tracer, disabled", *_OURS, "disabled"),
    "otel": Column(
        "OpenTelemetry SDK",
        "otel",
        ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"),
        "opentelemetry.sdk.trace, opentelemetry.sdk.trace.export",
    ),
    "langfuse": Column("Langfuse", "langfuse", ("langfuse",), "langfuse"),
    "langsmith": Column("LangSmith", "langsmith", ("langsmith",), "langsmith"),
    "logfire": Column("Logfire", "logfire", ("logfire",), "logfire"),
    "opik": Column("Opik", "opik", ("opik",), "opik"),
    "mlflow": Column("MLflow", "mlflow", ("mlflow-tracing", "opentelemetry-exporter-otlp-proto-http"), "mlflow"),
    "telnyx": Column("telnyx SDK, in line", "telnyx_sdk", ("telnyx",), "telnyx"),
}


class UnusableError(Exception):
    """A library cannot be installed or driven here; the message says why."""


def interpreter(column: Column, place: Path) -> Path:
    """Return the interpreter of a column's environment; make the environment when it is not there yet.

    Raises:
        UnusableError: It cannot be installed.
    """
    home = place / column.environment
    python = home / "bin" / "python"
    done = home / "installed.txt"
    if done.exists() and done.read_text() == " ".join(column.packages) and column.packages != (".",):
        return python
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if done.exists():  # only this checkout changes
        install += ["--force-reinstall", "--no-deps"]
    finished = subprocess.run([*install, *column.packages], cwd=ROOT, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise UnusableError(f"pip cannot install it: {finished.stderr.strip().splitlines()[-1]}")
    done.write_text(" ".join(column.packages))
    return python


def versions(python: Path) -> dict[str, str]:
    """Return what is installed in an environment, with its versions."""
    code = "import importlib.metadata as m; [print(d.metadata['Name'], d.version) for d in m.distributions()]"
    listed = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return dict(line.rsplit(" ", 1) for line in listed.stdout.splitlines())
