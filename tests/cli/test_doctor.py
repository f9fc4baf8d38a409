"""`doctor`: one line for each thing, with the mend."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from mission_tracer.cli.doctor import examine
from tests import processes
from tests.scripted import Answer, scripted_server

from .conftest import Call, Said


@pytest.fixture
def base_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with processes.served() as url:
        monkeypatch.setenv("TELNYX_BASE_URL", url)
        yield url


def verdicts(said: Said) -> dict[str, str]:
    return {finding["subject"]: finding["verdict"] for finding in said.json}


def test_all_is_well(call: Call, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a server, a key and a directory everything is ok, and the exit status 0."""
    monkeypatch.setenv("TELNYX_API_KEY", "x")
    said = call("doctor", "--json")
    assert said.status == 0
    assert set(verdicts(said).values()) == {"ok"}
    assert set(verdicts(said)) == {
        "versions", "settings", "directory", "locks", "disk", "journals", "network", "key", "clock",
    }  # fmt: skip


def test_it_leaves_nothing_in_the_directory(call: Call, base_url: str, state: Path) -> None:
    """Examining the directory leaves no file in it."""
    call("doctor")
    assert [path for path in state.rglob("*") if path.is_file()] == []


def test_a_terminal_gets_colours_unless_it_wants_none(base_url: str, state: Path) -> None:
    """At a terminal the verdicts have colours; not with NO_COLOR."""
    for more, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        env = processes.environment(state, TELNYX_BASE_URL=base_url, TERM="xterm", **more)
        assert (b"\x1b[" in processes.at_a_terminal([*processes.CLI, "doctor"], env)) is coloured


def test_no_key_is_a_warning(call: Call, base_url: str) -> None:
    """Without a key recording works: a warning, with the variable's name."""
    said = call("doctor")
    assert said.status == 0
    assert "warn  key        TELNYX_API_KEY is not set" in said.out


def test_a_missing_key_is_said_without_a_network(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key and with no server in reach both are said, the key first."""
    monkeypatch.setenv("TELNYX_BASE_URL", "http://127.0.0.1:9/v2")
    subjects = list(verdicts(call("doctor", "--json")))
    assert subjects[-2:] == ["key", "network"]


@pytest.mark.parametrize("body", ["<html>Please sign in</html>", "{}", '{"data": {}}', "[]"])
def test_an_answer_that_lists_no_missions_fails(body: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page to sign in at, or anything that is no list, does not accept a key."""
    with scripted_server() as api:
        api.answer(Answer(200, body.encode(), {"content-type": "text/html"}))
        monkeypatch.setenv("TELNYX_API_KEY", "x")
        monkeypatch.setenv("TELNYX_BASE_URL", api.url)
        said = call("doctor", "--json")
    assert (said.status, verdicts(said)["key"]) == (1, "fail")


def test_what_waits_is_a_warning(call: Call, base_url: str, recorded: str) -> None:
    """Facts that wait are a warning, with the command that sends them."""
    said = call("doctor", "--json")
    [finding] = [finding for finding in said.json if finding["subject"] == "journals"]
    assert (finding["verdict"], finding["mend"]) == ("warn", "mission-tracer sync")


def test_a_refused_key_fails(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that the server refuses fails, in the server's words."""
    with scripted_server() as api:
        body = {"errors": [{"code": "10009", "title": "Authentication failed", "detail": "Unknown key"}]}
        api.answer(Answer(401, body))
        monkeypatch.setenv("TELNYX_API_KEY", "x")
        monkeypatch.setenv("TELNYX_BASE_URL", api.url)
        said = call("doctor", "--json")
    assert said.status == 1
    assert verdicts(said)["key"] == "fail"


def test_a_key_that_no_header_takes_fails(call: Call, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key with characters that no header takes fails as a setting, and is not shown."""
    monkeypatch.setenv("TELNYX_API_KEY", "schlüssel")
    said = call("doctor")
    assert said.status == 1
    assert "fail  settings   environment variable TELNYX_API_KEY" in said.out
    assert "schlüssel" not in said.out


def test_no_server_fails_when_there_is_a_key(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server out of reach fails where something is to be sent, and is a warning where nothing is."""
    monkeypatch.setenv("TELNYX_BASE_URL", "http://127.0.0.1:9/v2")
    assert verdicts(call("doctor", "--json"))["network"] == "warn"
    monkeypatch.setenv("TELNYX_API_KEY", "x")
    said = call("doctor", "--json")
    assert (said.status, verdicts(said)["network"]) == (1, "fail")


@pytest.mark.parametrize(
    ("variable", "value", "mend"),
    [("ALL_PROXY", "socks5://127.0.0.1:9", "httpx[socks]"), ("SSL_CERT_FILE", "/absent/certificates.pem", "proxy")],
)
def test_an_environment_that_allows_no_request_fails(
    call: Call, base_url: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, mend: str
) -> None:
    """A proxy or certificates that are of no use fail as a server out of reach does, with the mend."""
    if variable == "ALL_PROXY" and find_spec("socksio"):
        pytest.skip("this proxy can be used here")
    monkeypatch.setenv("TELNYX_API_KEY", "x")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(variable, value)
    said = call("doctor", "--json")
    assert said.status == 1
    [finding] = [finding for finding in said.json if finding["subject"] == "network"]
    assert finding["verdict"] == "fail"
    assert mend in finding["mend"]


def test_a_clock_that_is_wrong_is_a_warning(base_url: str) -> None:
    """A clock over a minute off the server's is a warning that says by how much."""
    found = {finding.subject: finding for finding in examine(10, clock=lambda: time.time() + 3600)}
    assert found["clock"].verdict == "warn"
    assert re.fullmatch(r"36\d\d s ahead of the server's", found["clock"].found)


def test_a_wrong_setting_fails(call: Call, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong value in the environment fails, by its variable's name, and the rest is examined."""
    monkeypatch.setenv("MISSION_TRACER_FLUSH_STALL", "soon")
    said = call("doctor", "--json")
    assert said.status == 1
    [finding] = [f for f in said.json if f["subject"] == "settings"]
    assert "MISSION_TRACER_FLUSH_STALL" in finding["found"]


def test_a_variable_that_is_no_setting_is_a_warning(call: Call, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable, which nobody reads, is a warning that names it; what we set for programs is none."""
    monkeypatch.setenv("MISSION_TRACER_DURABILTY", "power")
    monkeypatch.setenv("MISSION_TRACER_EXEC", "x")
    said = call("doctor")
    assert said.status == 0
    assert "warn  settings   MISSION_TRACER_DURABILTY is no setting" in said.out
    assert "MISSION_TRACER_EXEC" not in said.out


def test_a_directory_that_cannot_be_made_fails(
    call: Call, base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state directory that cannot be made fails, and names the variable."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("MISSION_TRACER_DIR", os.fspath(tmp_path / "file" / "state"))
    said = call("doctor", "--json")
    assert said.status == 1
    [finding] = [f for f in said.json if f["subject"] == "directory"]
    assert "MISSION_TRACER_DIR" in finding["mend"]
