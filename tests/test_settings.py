"""One table holds every setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer.errors import ConfigurationError
from mission_tracer.settings import DEFAULT_BASE_URL, Settings


def test_defaults_are_those_of_the_page() -> None:
    """With nothing given, every setting has the documented default."""
    settings = Settings.load()
    assert settings.api_key is None
    assert settings.base_url == DEFAULT_BASE_URL
    assert (settings.enabled, settings.strict, settings.handle_signals) == (True, False, False)
    assert (settings.durability, settings.capture, settings.sender) == ("process", "full", "thread")
    assert (settings.flush_timeout, settings.flush_stall, settings.max_payload_bytes) == (30.0, 2.0, 32768)
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
        ("durability", "eternal", "process, power, memory"),
        ("capture", "some", "full, names, off"),
        ("flush_timeout", "soon", "number of seconds"),
        ("flush_timeout", -1, "number of seconds"),
        ("flush_timeout", float("nan"), "number of seconds"),
        ("request_timeout", float("inf"), "at most 86400"),
        ("request_timeout", 0, "more than 0"),
        ("settle", "inf", "at most 86400"),
        ("max_backoff", 1e6, "at most 86400"),
        ("request_timeout", "soon", "number of seconds"),
        ("enabled", "perhaps", "true or false"),
        ("max_payload_bytes", "many", "whole number"),
        ("max_payload_bytes", 10, "256 or more"),
        ("max_payload_bytes", 1e4, "whole number"),
        ("dir", "", "directory"),
        ("api_key", "two words", "API key"),
        ("log_level", "loud", "debug, info, warning, error, off"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(name: str, value: Any, words: str) -> None:
    """A wrong value is an error that names the setting and what it may be."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        Settings.load({name: value})
    assert name in str(caught.value)


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
