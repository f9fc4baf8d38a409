"""`serve`: the local server as a command."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests import processes

from .conftest import WITHOUT, Call


def test_it_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """`serve` says where it is, answers there, and ends with status 0 on SIGTERM."""
    words = [*processes.CLI, "serve", "--port", "0", "--admin", "--behaviour", "error_shape=fastapi"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=processes.environment(tmp_path), text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+/v2", process.stdout.readline())
        assert found is not None
        assert httpx.get(f"{found[0]}/ai/missions", headers={"authorization": "Bearer x"}).json()["data"] == []
        assert httpx.get(f"{found[0]}/_local/behaviour").json()["error_shape"] == "fastapi"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_wrong_switch_is_a_failure(call: Call) -> None:
    """A switch that does not exist is one line and status 2."""
    said = call("serve", "--behaviour", "mood=bad")
    assert said.status == 2
    assert said.err.startswith("error: unknown switch 'mood'")


def test_a_switch_without_a_value_names_its_option(call: Call) -> None:
    """A switch that is no name=value is one line that names --behaviour."""
    assert call("serve", "--behaviour", "foo").err == "error: --behaviour must be name=value, not 'foo'\n"


@pytest.mark.parametrize(("text", "why"), [("{", " is no JSON: "), ("[]", ": the seed is not a JSON object")])
def test_a_wrong_seed_names_its_file(text: str, why: str, call: Call, tmp_path: Path) -> None:
    """A seed that cannot be used is one line that names its file."""
    seed = tmp_path / "seed.json"
    seed.write_text(text)
    said = call("serve", "--seed", str(seed))
    assert (said.status, said.err.startswith(f"error: {seed}{why}")) == (2, True)


def test_a_port_in_use_is_a_failure(call: Call) -> None:
    """A port that another server has is one line and status 2."""
    with processes.served() as base_url:
        port = re.findall(r":(\d+)/", base_url)[0]
        said = call("serve", "--port", port)
    assert said.status == 2
    assert said.err.startswith(f"error: cannot listen on 127.0.0.1 port {port}: ")
    assert said.err.endswith("; --port 0 picks a free one\n")


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    """Without starlette `serve` says in one line what to install."""
    code = WITHOUT.format("starlette", "serve")
    done = processes.run([sys.executable, "-c", code], processes.environment(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: this needs starlette: pip install 'mission-tracer[server]'\n"
