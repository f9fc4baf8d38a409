"""Secrets stay where they are: not in a request, not on the disk."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt

# Put together at run time, so that no scanner takes this file for a leak.
SECRETS = {
    "telnyx": "KEY" + "0191" + "A1B2C3D4E5F60718293A4B5C6D7E8F90" + "_" + "a1B2c3D4e5F6g7H8i9J0kL",
    "openai": "sk-" + "proj-" + "T3BlbkFJx9Qw8Er7Ty6Ui5Op4As3Df2Gh1JkLzXcVbNm",
    "github": "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "aws": "AKIA" + "IOSFODNN7EXAMPLQ",
    "jwt": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "password": "correct-horse-battery-staple",
}
CONFIGURED = "KEY_of_the_test"


@mt.tool_call
def fetch(url: str, headers: dict[str, str], password: str) -> dict[str, Any]:
    return {"api_key": SECRETS["telnyx"], "text": f"use {SECRETS['openai']} or {SECRETS['github']}", "count": 3}


@mt.mission_run("Leak nothing", metadata={"token": SECRETS["jwt"]})
def agent(api_key: str, config: dict[str, Any]) -> dict[str, Any]:
    with mt.plan_step("fetch", description=f"with {SECRETS['openai']}") as step:
        step.metadata(authorization=f"Bearer {SECRETS['jwt']}")
        fetch(
            f"https://joe:{SECRETS['password']}@example.com/x?api_key={SECRETS['github']}",
            {"Authorization": f"Bearer {SECRETS['jwt']}", "Cookie": SECRETS["password"]},
            password=SECRETS["password"],
        )
        mt.log_event(f"key is {SECRETS['telnyx']}", payload={"deep": [{"client_secret": SECRETS["password"]}]})
        mt.log_event(f"configured is {CONFIGURED}", payload={"value": CONFIGURED})
    with pytest.raises(RuntimeError), mt.plan_step("fail"):
        raise RuntimeError(f"refused {SECRETS['aws']} with password={SECRETS['password']}")
    raise ValueError(f"bad key {SECRETS['telnyx']}")


def test_row_22_no_secret_leaves_the_program(api: Any, tmp_path: Path) -> None:
    """Secrets in arguments, results, errors, tracebacks, metadata and URLs reach neither the server nor the disk."""
    with pytest.raises(ValueError, match="bad key"):
        agent(SECRETS["telnyx"], {"db": {"password": SECRETS["password"], "host": "db.local"}})
    assert mt.flush(20)

    received = repr(api.tree())
    assert "db.local" in received  # what is no secret arrives
    files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    on_disk = b"".join(path.read_bytes() for path in files).decode()
    assert "db.local" in on_disk
    for name, secret in {**SECRETS, "configured": CONFIGURED}.items():
        assert secret not in received, name
        assert secret not in on_disk, name


def test_row_22_files_are_the_users_alone(api: Any, tmp_path: Path) -> None:
    """Every file of the state directory is readable by its user alone, and so are the directories."""
    with pytest.raises(ValueError, match="bad key"):
        agent("x", {})
    assert mt.flush(20)
    for path in (tmp_path / "state").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
