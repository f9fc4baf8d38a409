"""One table holds every setting."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer.errors import ConfigurationError
from mission_tracer.settings import DEFAULT_BASE_URL, Settings, variable
from tests import processes
from tests.scripted import scripted_server


def test_defaults_are_those_of_the_page() -> None:
    """With nothing given, every setting has the documented default."""
    settings = Settings.load()
    assert settings.api_key is None
    assert settings.base_url == DEFAULT_BASE_URL
    assert (settings.enabled, settings.strict, settings.handle_signals) == (True, False, False)
    assert (settings.durability, settings.capture, settings.sender) == ("process", "full", "thread")
    assert (settings.flush_timeout, settings.flush_stall, settings.max_payload_bytes) == (30.0, 2.0, 32768)
    assert settings.dir is not None
    assert settings.dir.is_absolute()


def test_code_wins_over_the_environment() -> None:
    """A value given in code wins over the variable, and the variable over the default."""
    environ = {"MISSION_TRACER_FLUSH_TIMEOUT": "7", "TELNYX_API_KEY": "KEY1"}
    assert Settings.load(environ=environ).flush_timeout == 7.0
    assert Settings.load({"flush_timeout": 3}, environ=environ).flush_timeout == 3.0
    assert Settings.load({"flush_timeout": None}, environ=environ).flush_timeout == 7.0
    assert Settings.load(environ=environ).api_key == "KEY1"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("base_url", "no url", "http or https URL"),
        ("base_url", "ftp://example.com", "http or https URL"),
        ("base_url", "https://user:word@example.com/v2", "without user"),
        ("base_url", "http://host:99999", "http or https URL"),
        ("base_url", "https://exam ple.com/v2", "http or https URL"),
        ("base_url", "https://example.com/v\t2", "http or https URL"),
        ("base_url", "https://example.com/v2?page=1", "without user, query or fragment"),
        ("base_url", "https://example.com/v2#top", "without user, query or fragment"),
        ("durability", "eternal", "process, power, memory"),
        ("capture", "some", "full, names, off"),
        ("flush_timeout", "soon", "number of seconds"),
        ("flush_timeout", -1, "number of seconds"),
        ("flush_timeout", float("nan"), "number of seconds"),
        ("request_timeout", float("inf"), "at most 86400"),
        ("flush_timeout", True, "number of seconds"),
        ("request_timeout", True, "more than 0"),
        ("request_timeout", 0, "more than 0"),
        ("settle", "inf", "at most 86400"),
        ("max_backoff", 1e6, "at most 86400"),
        ("request_timeout", "soon", "number of seconds"),
        ("enabled", "perhaps", "true or false"),
        ("enabled", "", "true or false"),
        ("enabled", 1, "true or false"),
        ("max_payload_bytes", "many", "whole number"),
        ("max_payload_bytes", 10, "256 or more"),
        ("max_payload_bytes", 1e4, "whole number"),
        ("max_memory_facts", True, "whole number"),
        ("max_memory_facts", -1, "0 or more"),
        ("dir", "", "directory"),
        ("dir", " ", "directory"),
        ("dir", 5, "directory"),
        ("agent_id", " ", "text that is not empty"),
        ("api_key", "two words", "API key"),
        ("log_level", "loud", "debug, info, warning, error, off"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(name: str, value: Any, words: str) -> None:
    """A wrong value is an error that names the setting and what it may be."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        Settings.load({name: value})
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        *(("strict", word, True) for word in (True, "1", "true", "yes", "on", "True", " ON ")),
        *(("enabled", word, False) for word in (False, "0", "false", "no", "off", "False", " Off ")),
        ("durability", " POWER ", "power"),
        ("capture", "Names", "names"),
        ("sender", "OFF", "off"),
        ("base_url", " https://example.com/v2/ ", "https://example.com/v2"),
        ("base_url", "http://localhost:4010", "http://localhost:4010"),
        ("api_key", " KEY1 ", "KEY1"),
        ("agent_id", " me ", "me"),
        ("flush_timeout", "2.5", 2.5),
        ("flush_timeout", 0, 0.0),
        ("retention", "inf", float("inf")),
        ("max_payload_bytes", "256", 256),
        ("max_memory_facts", 0, 0),
        ("dir", "~/state", Path.home() / "state"),
        ("dir", Path("~"), Path.home()),
    ],
)
def test_a_value_is_read_in_any_of_its_spellings(name: str, value: Any, read: Any) -> None:
    """Words in any case, numbers as texts and paths below the home are read, from code and from the environment."""
    given = [Settings.load({name: value})]
    if isinstance(value, str):
        prefix = "TELNYX_" if name in {"api_key", "base_url"} else "MISSION_TRACER_"
        given.append(Settings.load(environ={prefix + name.upper(): value}))
    for settings in given:
        found = getattr(settings, name)
        assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_an_empty_variable_says_nothing(text: str) -> None:
    """A variable that is set to nothing is as one that is not set: the default holds."""
    names = [name for row in dataclasses.fields(Settings) if (name := variable(row)) is not None]
    assert Settings.load(environ=dict.fromkeys(names, text)) == Settings.load()


def test_an_unknown_setting_is_refused() -> None:
    """An unknown name is an error that lists the known ones."""
    with pytest.raises(ConfigurationError, match=r"unknown setting 'flush_timout'.*flush_timeout"):
        mt.configure(flush_timout=3)


def test_secrets_are_not_repeated_in_errors() -> None:
    """The message about a wrong key or URL does not show it."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({"api_key": "KEY sesame", "base_url": "https://joe:sesame@x"})
    assert "sesame" not in str(caught.value)


def test_a_wrong_variable_is_said_and_does_not_stop_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong variable in the environment is one line on standard error; the default is used."""
    monkeypatch.setenv("MISSION_TRACER_DURABILITY", "eternal")
    with mt.mission_run("m") as run:
        assert run.key
    said = capsys.readouterr().err
    assert said.count("MISSION_TRACER_DURABILITY") == 1
    assert "process, power, memory" in said


def test_a_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory given relatively is that of the moment it was given."""
    monkeypatch.chdir(tmp_path)
    assert Settings.load({"dir": "here"}).dir == tmp_path / "here"


RECORD = "import mission_tracer as mt\nwith mt.mission_run('m') as run: mt.log_event('x')\nprint(mt.stats().recorded)"


def test_without_a_home_directory_facts_are_held_in_memory(tmp_path: Path) -> None:
    """Where no home directory can be found a program records in memory, and one line names the variable."""
    words = [sys.executable, "-c", processes.NO_USERS + RECORD]
    done = processes.run(words, processes.homeless())
    assert (done.returncode, done.stdout) == (0, "3\n")
    problem, end = done.stderr.splitlines()
    assert "MISSION_TRACER_DIR" in problem
    assert problem.endswith("; facts are held in memory")
    assert "recorded in memory, nothing sent, nothing kept" in end
    for more in ({"MISSION_TRACER_ENABLED": "0"}, {"MISSION_TRACER_DURABILITY": "memory"}):
        done = processes.run(words, processes.homeless(**more))
        assert (done.returncode, "MISSION_TRACER_DIR" in done.stderr) == (0, False)
    done = processes.run(words, processes.homeless(MISSION_TRACER_DIR=str(tmp_path / "state")))
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert len(list((tmp_path / "state" / "runs").glob("*.jsonl"))) == 1


def test_a_directory_that_leads_nowhere_stops_no_program(tmp_path: Path) -> None:
    """A directory of an unknown user's, or below a working directory that is gone, is one line and the default."""
    home = processes.environment(tmp_path, XDG_STATE_HOME=str(tmp_path))
    # As a file: with `-c` Python looks for modules in the working directory first, and 3.13.0 stumbles when it is gone.
    program = tmp_path / "program.py"
    program.write_text("import os, tempfile\nos.chdir(place := tempfile.mkdtemp())\nos.rmdir(place)\n" + RECORD)
    for place in ("~nobody-of-that-name/x", "below"):
        done = processes.run([sys.executable, str(program)], {**home, "MISSION_TRACER_DIR": place})
        assert (done.returncode, done.stdout) == (0, "3\n")
        assert done.stderr.startswith("mission_tracer: error: environment variable MISSION_TRACER_DIR must be ")
        assert f"not {place!r}; the default is used\n" in done.stderr
    assert len(list((tmp_path / "mission_tracer" / "runs").glob("*.jsonl"))) == 2


def test_a_wrong_variable_does_not_stop_a_program_that_configures_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is given in code is an error when it is wrong; what the environment adds to it is only said."""
    monkeypatch.setenv("MISSION_TRACER_DURABILITY", "eternal")
    settings = mt.configure(capture="names").settings
    assert (settings.capture, settings.durability) == ("names", "process")
    assert "MISSION_TRACER_DURABILITY" in capsys.readouterr().err
    with pytest.raises(ConfigurationError, match="setting capture") as caught:
        mt.configure(capture="some")
    assert "MISSION_TRACER_DURABILITY" not in str(caught.value)


def test_with_an_address_that_cannot_be_used_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A typo in the address sends the key nowhere: what is recorded is kept, and that is said."""
    with scripted_server() as api:
        env = {**os.environ, "TELNYX_API_KEY": "KEY1", "TELNYX_BASE_URL": api.url.removeprefix("http://")}
        done = processes.run([sys.executable, "-c", RECORD], env)
    problem, end = done.stderr.splitlines()
    assert problem.startswith("mission_tracer: error: environment variable TELNYX_BASE_URL must be ")
    assert problem.endswith("; nothing is sent")
    assert "offline, since TELNYX_API_KEY or TELNYX_BASE_URL cannot be used: 1 run(s) recorded, nothing sent" in end
    monkeypatch.setenv("TELNYX_BASE_URL", "api.example.com")
    assert mt.configure(api_key="KEY1").sends is False
