"""Switching integrations on and off by name."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer.instrument import IntegrationError, names

registry: Any = sys.modules["mission_tracer.instrument"]  # the package shows its function under that name


def test_every_name_has_its_file() -> None:
    """Each integration that is offered has a file with an `install`."""
    assert names() == sorted(names())
    for name in names():
        module = registry._MODULES[name]
        spec = importlib.util.find_spec(f"mission_tracer.integrations.{module}")
        assert spec is not None, name
        assert spec.origin is not None
        assert "def install(" in Path(spec.origin).read_text(encoding="utf-8"), name


def test_every_name_has_its_library() -> None:
    """What is waited for before an integration is switched on is what its file needs."""
    for name in names():
        path = Path(registry.__file__).with_name("integrations") / f"{registry._MODULES[name]}.py"
        library = registry.library_of(name)
        for needed in re.findall(r'require\("([\w.]+)"', path.read_text("utf-8")):
            assert needed.startswith(library) or library.startswith(needed), name


def test_every_name_is_documented() -> None:
    """The page of the integrations lists each of them."""
    page = (Path(__file__).parent.parent / "docs" / "integrations.md").read_text(encoding="utf-8")
    assert [name for name in names() if f"| `{name}`" not in page and f", `{name}`" not in page] == []


def test_an_unknown_name_is_refused_before_anything_is_switched_on() -> None:
    """A name that there is not is an error that lists the names; the others of the call stay off."""
    import threading

    before = threading.Thread.start
    with pytest.raises(ValueError, match=r"no integration 'opanai': there are anthropic, .*threading"):
        mt.instrument("threading", "opanai")
    assert threading.Thread.start is before


def test_switching_on_twice_is_harmless() -> None:
    """An integration that is on stays as it is; one `uninstrument` switches it off."""
    import threading

    before = threading.Thread.start
    mt.instrument("threading")
    ours = vars(threading.Thread)["start"]
    mt.instrument("threading", "threading")
    assert vars(threading.Thread)["start"] is ours
    mt.uninstrument("threading")
    assert threading.Thread.start is before
    mt.uninstrument("threading")
    mt.uninstrument("never switched on")


def test_uninstrument_without_names_switches_everything_off() -> None:
    """Without names everything that is on is switched off."""
    import logging
    import threading

    before = threading.Thread.start, logging.Logger.callHandlers
    mt.instrument("threading", "logging")
    mt.uninstrument()
    assert threading.Thread.start is before[0]
    assert logging.Logger.callHandlers is before[1]


def test_nothing_is_switched_on_when_recording_is_off() -> None:
    """With `enabled` false nothing is imported or changed."""
    import threading

    mt.configure(enabled=False)
    before = threading.Thread.start
    mt.instrument("threading")
    assert threading.Thread.start is before


DISTRIBUTIONS = {
    "anthropic": "anthropic",
    "celery": "celery",
    "httpx": "httpx",
    "httpx2": "httpx2",
    "langchain": "langchain-core",
    "openai": "openai",
    "openai-agents": "openai-agents",
    "otel": "opentelemetry-sdk",
    "pydantic-ai": "pydantic-ai-slim",
    "requests": "requests",
    "structlog": "structlog",
}


@pytest.fixture
def afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import the integrations' files anew, as a program would that has not used them yet."""
    for name in {*registry._MODULES.values(), "otel"}:
        monkeypatch.delitem(sys.modules, f"mission_tracer.integrations.{name}", raising=False)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.usefixtures("afresh")
def test_a_missing_library_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An integration whose library is missing says what to install; nothing is left on."""

    def missing(distribution: str) -> str:
        raise importlib.metadata.PackageNotFoundError(distribution)

    library = DISTRIBUTIONS[name]
    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(IntegrationError, match=rf"needs {library}: pip install '{library}>=\d"):
        mt.instrument(name)
    assert issubclass(IntegrationError, mt.MissionTracerError)
    assert name not in registry._installed.undo


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.usefixtures("afresh")
def test_a_library_that_is_too_old_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An integration whose library is too old says which version it needs."""
    library = DISTRIBUTIONS[name]
    monkeypatch.setattr(importlib.metadata, "version", lambda distribution: "0.0.1")
    with pytest.raises(
        IntegrationError, match=rf"needs {library} [\d.]+ or newer, not 0.0.1: pip install -U {library}$"
    ):
        mt.instrument(name)


def test_importing_us_imports_no_integration() -> None:
    """`import mission_tracer` loads no integration and none of their libraries."""
    code = """
import sys, mission_tracer
found = [name for name in sys.modules if name.startswith("mission_tracer.integrations.")]
heavy = {"openai", "anthropic", "httpx", "httpx2", "requests", "celery", "langchain_core", "opentelemetry"}
print(found, sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"


def test_options_reach_the_integrations_that_know_them() -> None:
    """Options are handed to each of the integrations; those that have no use for one leave it alone."""
    import logging

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(mission_run)s"))
    logger = logging.getLogger("tests.instrument")
    logger.addHandler(handler)
    mt.instrument("threading", "logging", "subprocess", ids=True)
    try:
        with mt.mission_run("m") as run:
            logger.warning("x")
    finally:
        logger.removeHandler(handler)
    assert stream.getvalue().strip() == run.key


def test_an_option_that_none_of_them_takes_is_refused() -> None:
    """A misspelt option is an error that lists the options there are; nothing is switched on."""
    import threading

    before = threading.Thread.start
    with pytest.raises(TypeError, match=r"no option 'windows': threading, logging take ids, level, skip, window"):
        mt.instrument("threading", "logging", windows=0)
    with pytest.raises(TypeError, match=r"no option 'x': threading take none"):
        mt.instrument("threading", x=1)
    assert threading.Thread.start is before


def test_options_of_one_are_no_trouble_to_the_others() -> None:
    """Everything can be switched on in one call, with an option that only some of it takes."""
    for library in ("langchain_core", "opentelemetry.sdk.trace", "agents", "pydantic_ai", "openai", "httpx"):
        pytest.importorskip(library)
    which = (
        "langchain",
        "openai-agents",
        "otel",
        "pydantic-ai",
        "openai",
        "httpx",
        "logging",
        "structlog",
        "threading",
    )
    mt.instrument(*which, window=0, mission="Find window washers")
    assert set(which) == set(registry._installed.undo)


def test_if_one_cannot_be_switched_on_none_of_the_call_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is missing, or is not what we know, leaves the others of the call as they were before it."""
    import threading

    def missing(distribution: str) -> str:
        raise importlib.metadata.PackageNotFoundError(distribution)

    from mission_tracer.integrations import subprocess as last

    def fail(*_: Any) -> None:
        raise IntegrationError("not known to us")

    before = threading.Thread.start
    with monkeypatch.context() as patch:
        patch.setattr(importlib.metadata, "version", missing)
        patch.delitem(sys.modules, "mission_tracer.integrations.celery", raising=False)
        with pytest.raises(IntegrationError, match="needs celery"):
            mt.instrument("threading", "celery")
    assert threading.Thread.start is before
    mt.instrument("logging")
    monkeypatch.setattr(last, "install", fail)
    with pytest.raises(IntegrationError, match="not known"):
        mt.instrument("logging", "threading", "subprocess")
    assert threading.Thread.start is before
    assert set(registry._installed.undo) == {"logging"}


def test_what_is_switched_on_works_in_a_forked_child() -> None:
    """A child that is forked after `instrument` has it switched on, and can switch it off."""
    import os
    import threading

    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    mt.instrument("threading")

    def child() -> Any:
        import threading

        mt.uninstrument()
        return hasattr(threading.Thread.start, "__wrapped__")

    import multiprocessing

    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(_child_is_clean) is True
    assert hasattr(threading.Thread.start, "__wrapped__")
    assert child() is False


def _child_is_clean() -> bool:
    import threading

    was_on = hasattr(threading.Thread.start, "__wrapped__")
    mt.uninstrument()
    return was_on and not hasattr(threading.Thread.start, "__wrapped__")
