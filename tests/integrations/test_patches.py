"""What the integrations wrap, they give back."""

from __future__ import annotations

import asyncio
import copy
import importlib.metadata
import inspect
import pickle
import sys
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer.instrument import IntegrationError
from mission_tracer.integrations._patches import Patches, ours, require


class Base:
    def speak(self, text: str = "hello") -> str:
        return text

    @staticmethod
    def whisper() -> str:
        return "psst"

    @classmethod
    def name(cls) -> str:
        return cls.__name__


class Child(Base): ...


def louder(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    return str(wrapped(*args, **kwargs)).upper()


def test_methods_of_every_kind_are_wrapped_and_given_back() -> None:
    """Methods, static and class methods work through the wrapper, and are the same objects as before after `undo`."""
    before = dict(vars(Base))
    patches = Patches()
    for name in ("speak", "whisper", "name"):
        patches.wrap(Base, name, louder)
    assert (Base().speak("hi"), Base.whisper(), Base.name(), Child.name()) == ("HI", "PSST", "BASE", "CHILD")
    patches.undo()
    assert all(vars(Base)[name] is before[name] for name in ("speak", "whisper", "name"))
    assert Base().speak() == "hello"


def shout(text: str, *, often: int = 1) -> str:
    return text * often


async def murmur(text: str) -> str:
    return text


def test_what_is_wrapped_is_pickled_and_copied_by_its_name() -> None:
    """A wrapped function and a bound method can be pickled and copied, and say of themselves what they said before."""
    here = sys.modules[__name__]
    looks = [(inspect.signature(one), one.__doc__, one.__qualname__) for one in (Base.speak, shout, murmur)]
    patches = Patches()
    patches.wrap(Base, "speak", louder)
    patches.wrap(here, "shout", louder)
    patches.wrap(here, "murmur", lambda wrapped, _instance, args, kwargs: wrapped(*args, **kwargs))
    try:
        assert [(inspect.signature(one), one.__doc__, one.__qualname__) for one in (Base.speak, shout, murmur)] == looks
        assert inspect.iscoroutinefunction(murmur)
        assert asyncio.run(murmur("psst")) == "psst"
        assert (shout("hi", often=2), Base.speak(Base(), "hi")) == ("HIHI", "HI")
        for each in (pickle.loads(pickle.dumps(Base().speak)), copy.deepcopy(Base().speak)):
            assert each("hi") == "HI"
        stored = pickle.dumps((shout, murmur, Base.speak))
        assert pickle.loads(stored) == (shout, murmur, Base.speak)
        with pytest.raises(TypeError):
            Base.speak()  # type: ignore[call-arg]
    finally:
        patches.undo()
    assert pickle.loads(stored)[0] is shout


def test_an_inherited_method_is_wrapped_for_its_class_alone() -> None:
    """Wrapping what a class inherits leaves its parents alone, and leaves nothing on the class afterwards."""
    patches = Patches()
    patches.wrap(Child, "speak", louder)
    assert (Child().speak(), Base().speak()) == ("HELLO", "hello")
    patches.undo()
    assert "speak" not in vars(Child)


def test_the_last_wrapped_is_given_back_first() -> None:
    """Wrapping the same method twice and undoing it gives the original back."""
    before = vars(Base)["speak"]
    patches = Patches()
    patches.wrap(Base, "speak", louder)
    patches.wrap(Base, "speak", louder)
    patches.undo()
    patches.undo()
    assert vars(Base)["speak"] is before


def test_a_wrapper_under_somebody_elses_does_nothing_any_more() -> None:
    """What somebody wrapped over ours stays theirs; ours lets calls through."""
    before = vars(Base)["speak"]
    patches = Patches()
    patches.wrap(Base, "speak", louder)
    over = vars(Base)["speak"]

    def theirs(self: Base, text: str = "hello") -> str:
        return f"<{over.__get__(self)(text)}>"

    Base.speak = theirs  # type: ignore[method-assign]
    try:
        assert Base().speak() == "<HELLO>"
        patches.undo()
        assert vars(Base)["speak"] is theirs
        assert Base().speak() == "<hello>"
    finally:
        Base.speak = before  # type: ignore[method-assign]


def test_paths_that_lead_nowhere_are_no_errors() -> None:
    """Wrapping by a path says whether there was something to wrap."""
    patches = Patches()
    assert patches.wrap_path(__name__, "Child.speak", louder)
    assert not patches.wrap_path(__name__, "Child.nothing", louder)
    assert not patches.wrap_path(__name__, "Nothing.speak", louder)
    assert not patches.wrap_path("no.such.module", "Child.speak", louder)
    patches.undo()
    assert "speak" not in vars(Child)
    with pytest.raises(AttributeError):
        patches.wrap(Child, "nothing", louder)


def test_our_errors_stay_ours(capfd: pytest.CaptureFixture[str]) -> None:
    """A hook that fails gives `None` and says so; when strict it raises; what is no `Exception` always passes."""

    @ours
    def fail(error: BaseException) -> int:
        raise error

    mt.configure(log_level="error")
    assert fail(ValueError("ours")) is None
    assert "ValueError('ours')" in capfd.readouterr().err
    with pytest.raises(KeyboardInterrupt):
        fail(KeyboardInterrupt())
    mt.configure(strict=True)
    with pytest.raises(ValueError, match="ours"):
        fail(ValueError("ours"))


@pytest.mark.parametrize(
    ("least", "fits"), [("1.0", True), ("9.2", True), ("9.2.0", True), ("99", False), ("9.99", False)]
)
def test_versions_are_compared_by_their_numbers(least: str, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library of the asked version or a newer one is imported, an older one refused with what to do."""
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.2.0.post1+local")
    if fits:
        assert require("pytest", least) is pytest
    else:
        with pytest.raises(IntegrationError, match=rf"needs pytest {least} or newer, not 9.2.0"):
            require("pytest", least)


def test_a_library_that_is_there_but_broken_is_said() -> None:
    """A library that is installed and cannot be imported is an error that says so."""
    with pytest.raises(IntegrationError, match="cannot be imported"):
        require("pytest.no_such_part", "1.0")


def test_a_missing_library_is_said() -> None:
    """A library that is not installed is an error that says what to install."""
    with pytest.raises(IntegrationError, match=r"needs no-such-library: pip install 'no-such-library>=1.0'"):
        require("no_such", "1.0", distribution="no-such-library")
