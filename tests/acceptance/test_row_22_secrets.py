"""Secrets stay where they are: not in a request, not on the disk."""

from __future__ import annotations

import logging
import stat
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import recorder
from mission_tracer.integrations.logging import MissionLogHandler
from tests.faults import faulty

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


class Seeds:
    """Make a secret of its own for each place, so that a leak tells where it is."""

    def __init__(self) -> None:
        self.planted: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        secret = self.planted[place] = f"{SECRETS['openai']}{len(self.planted):03}"
        return secret


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


def work_with(seed: Seeds) -> None:
    """Give a secret to everything that takes a value, a text, a name or an id."""
    log = logging.getLogger("row 22")
    handler = MissionLogHandler(window=0)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    plan: list[Any] = [
        seed("step of a plan"),
        ("planned", seed("description of a plan")),
        {
            "step_id": "third",
            "parent_step_id": seed("parent"),
            "metadata": {seed("key of a plan"): seed("value of a plan")},
        },
    ]
    run_block = mt.mission_run(
        seed("mission"),
        plan=plan,
        input={seed("key of the input"): seed("input")},
        metadata={"x": seed("metadata of a run")},
        description=seed("description of a mission"),
        instructions=seed("instructions"),
        model=seed("model"),
    )
    with run_block as run:
        with mt.plan_step(seed("step"), description=seed("description"), metadata={"x": seed("metadata")}) as step:
            step.metadata(later=seed("later metadata"))
            run.log_event(
                seed("summary"),
                payload={seed("key of a payload"): [{"deep": seed("payload")}]},
                step=seed("step of an event"),
                agent_id=seed("agent of an event"),
                idempotency_key=seed("idempotency key"),
            )
            log.info("logged %s", seed("argument of a log record"), extra={"more": seed("extra")})
            try:
                try:
                    raise OSError(seed("cause"))
                except OSError as cause:
                    hidden_local = seed("local variable")
                    raise RuntimeError(seed("error")) from cause
            except RuntimeError as error:
                log.exception("failed: %s", seed("log record"))
                step.fail(error)
        with mt.plan_step(seed("step without a description")), mt.plan_step(seed("step inside")):
            mt.log_event("inside")
        with mt.plan_step("skipped") as step:
            step.skip(seed("reason"))
        with mt.tool_call(seed("tool"), arguments={"url": f"https://joe:{seed('URL')}@example.com"}) as call:
            call.result({"Authorization": f"Bearer {seed('result')}"})
        run.plan(seed("step declared later"))
        run.add_agent(seed("agent"))
        with mt.mission_run(f"Child {seed('mission of a child')}") as child:
            child.fail(seed("reason of a run"))
        run.succeed(seed("result summary"), {"x": seed("result payload")})
    log.removeHandler(handler)
    handler.close()
    assert hidden_local


def test_row_22_no_secret_leaves_the_program(api: Any, tmp_path: Path) -> None:
    """Wherever a secret stands in what a program hands over, it is in no request and no file."""
    seed = Seeds()
    with faulty(api.base_url) as proxy:
        mt.configure(api_key=CONFIGURED, base_url=proxy.base_url, strict=True)
        with pytest.raises(ValueError, match="bad key"):
            agent(SECRETS["telnyx"], {"db": {"password": SECRETS["password"], "host": "db.local"}})
        work_with(seed)
        assert mt.flush(20)
        sent = "\n".join(
            [*(request for request, _ in proxy.seen()), *(body.decode() for body in list(proxy.plan.bodies))]
        )
        recorder.discard()

    files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    on_disk = "\n".join([*map(str, files), *(path.read_bytes().decode() for path in files)])
    assert "db.local" in sent  # what is no secret arrives
    assert "db.local" in on_disk
    assert len(seed.planted) > 30
    planted = {**SECRETS, "configured": CONFIGURED, **seed.planted}
    assert [name for name, secret in planted.items() if secret in sent] == []
    assert [name for name, secret in planted.items() if secret in on_disk] == []


def test_row_22_files_are_the_users_alone(api: Any, tmp_path: Path) -> None:
    """Every file of the state directory is readable by its user alone, and so are the directories."""
    with pytest.raises(ValueError, match="bad key"):
        agent("x", {})
    assert mt.shutdown(20)  # what is delivered is put away by then
    for path in (tmp_path / "state").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
