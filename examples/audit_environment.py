"""Audit the Python environment this script runs in, as an agent with a plan: inventory, check, report.

    pip install 'mission-tracer[demo]'
    python examples/audit_environment.py

Real input, no account, no network: it reads the metadata of the installed packages. With TELNYX_API_KEY set the run is
sent to the Missions API (or to TELNYX_BASE_URL); without it the run is recorded and waits.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from mission_tracer import current_run, current_step, log_event, mission_run, plan_step, tool_call

SHOWN = 10

# ---- the agent's tools: each call is logged as `tool_call`, then `tool_result` or `error` ----


@tool_call
def list_packages() -> dict[str, str]:
    """List the installed packages with their versions."""
    return dict(sorted((_name(found), found.version) for found in metadata.distributions()))


@tool_call
def find_unmet_requirements(packages: dict[str, str]) -> list[str]:
    """Find requirements whose package is absent or has another version."""
    return sorted({unmet for found in metadata.distributions() for unmet in _unmet(found, packages)})


@tool_call
def find_doubles() -> list[str]:
    """Find packages that are installed more than once."""
    names = Counter(_name(found) for found in metadata.distributions())
    return [f"{name} is installed {count} times" for name, count in sorted(names.items()) if count > 1]


@tool_call
def find_missing_licences() -> list[str]:
    """Find packages that name no licence."""
    return sorted(f"{_name(found)} names no licence" for found in metadata.distributions() if not _licence(found))


# ---- the steps of its plan ----


@plan_step(description="List every installed package")
def inventory() -> dict[str, str]:
    packages = list_packages()
    step = current_step()
    if step is not None:
        step.metadata(packages=len(packages))
    log_event(f"Python {sys.version.split()[0]} with {len(packages)} packages")
    return packages


@plan_step(description="Look for unmet requirements, doubles and missing licences")
def check(packages: dict[str, str]) -> dict[str, list[str]]:
    findings = {
        "unmet": find_unmet_requirements(packages),
        "doubles": find_doubles(),
        "unlicensed": find_missing_licences(),
    }
    for kind, found in findings.items():
        for line in found[:SHOWN]:
            log_event(line, payload={"kind": kind})
    return findings


@plan_step(description="Say what was found")
def report(packages: dict[str, str], findings: dict[str, list[str]]) -> dict[str, Any]:
    numbers = {kind: len(found) for kind, found in findings.items()}
    verdict = "needs work" if numbers["unmet"] or numbers["doubles"] else "healthy"
    log_event(f"The environment is {verdict}", type="message", payload=numbers)
    return {"verdict": verdict, "packages": len(packages), **numbers}


@mission_run("Audit a Python environment", plan=["inventory", "check", "report"])
def audit(environment: str) -> dict[str, Any]:
    """Audit the packages of one Python environment."""
    packages = inventory()
    result = report(packages, check(packages))
    run = current_run()
    if run is not None:
        run.succeed(
            summary=f"{result['verdict']}: {result['unmet']} unmet requirements in {environment}", payload=result
        )
    return result


# ---- reading packages; nothing below knows of missions ----


def _name(found: metadata.Distribution) -> str:
    return canonicalize_name(found.metadata["Name"] or "unnamed")


def _licence(found: metadata.Distribution) -> bool:
    about = found.metadata
    named = [*(about.get_all("License-Expression") or ()), *(about.get_all("License") or ())]
    classified = [line for line in about.get_all("Classifier") or () if line.startswith("License ::")]
    return any(text.strip() not in {"", "UNKNOWN"} for text in named) or bool(classified)


def _unmet(found: metadata.Distribution, packages: dict[str, str]) -> Iterator[str]:
    for text in found.requires or ():
        try:
            wanted = Requirement(text)
            if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
                continue
            version = packages.get(canonicalize_name(wanted.name))
            if version is None:
                yield f"{_name(found)} wants {wanted}: not installed"
            elif not wanted.specifier.contains(version, prereleases=True):
                yield f"{_name(found)} wants {wanted}: {version} is installed"
        except (InvalidRequirement, InvalidVersion, UndefinedEnvironmentName) as error:
            yield f"{_name(found)}: {text!r} cannot be read ({error})"


if __name__ == "__main__":
    print(json.dumps(audit(sys.prefix), indent=2))
