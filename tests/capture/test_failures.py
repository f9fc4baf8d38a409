"""Exceptions as data: their words, their way, and what is behind them."""

import sys
from typing import Any

import msgspec
import pytest

from mission_tracer._capture.capture import Capture
from mission_tracer._capture.failures import words

CAPTURE = Capture(strict=True)
HERE = __name__


def caught(function: Any, *args: Any) -> BaseException:
    try:
        function(*args)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def described(error: BaseException) -> dict[str, Any]:
    made = CAPTURE.exception(error)
    assert msgspec.json.decode(msgspec.json.encode(made)) == made
    return made


def fail(message: str) -> None:
    local = "LOCAL-VALUE"
    raise ValueError(message + local[:0])


def test_an_exception_shows_type_message_and_traceback() -> None:
    """Type, message and the frames with their source lines are told, local variables are not."""
    made = described(caught(fail, "it broke"))
    assert made["type"] == "ValueError"
    assert made["message"] == "it broke"
    lines = made["traceback"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: it broke"
    assert "in fail" in made["traceback"]
    assert "raise ValueError(message + local[:0])" in made["traceback"]
    assert "LOCAL-VALUE" not in str(described(caught(fail, "x"))).replace('local = "LOCAL-VALUE"', "")


def test_an_exception_never_raised_has_no_frames() -> None:
    """An exception without a traceback is told in one line."""
    assert described(KeyError("x")) == {"type": "KeyError", "message": "'x'", "traceback": "KeyError: 'x'"}
    assert described(ValueError())["traceback"] == "ValueError"


def test_causes_and_contexts_are_told_as_python_tells_them() -> None:
    """An explicit cause, an implicit context, or neither when it is suppressed."""

    def chained(how: str) -> None:
        try:
            fail("first")
        except ValueError as error:
            if how == "cause":
                raise RuntimeError("second") from error
            if how == "none":
                raise RuntimeError("second") from None
            raise RuntimeError("second")  # noqa: B904 - the implicit context is what is tested

    assert described(caught(chained, "cause"))["cause"]["message"] == "first"
    assert described(caught(chained, "context"))["context"]["message"] == "first"
    assert not {"cause", "context"} & described(caught(chained, "none")).keys()


def test_a_chain_that_closes_ends() -> None:
    """A chain of causes that leads back to its begin is told once."""
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert "cause" not in described(first)["cause"]


def test_a_long_chain_is_bounded() -> None:
    """Of a thousand causes eight exceptions are told."""
    error = ValueError("0")
    for number in range(1, 1000):
        outer = ValueError(str(number))
        outer.__cause__ = error
        error = outer
    assert str(described(error)).count("'message'") == 8


def test_notes_are_told() -> None:
    """Notes are told, redacted and bounded; what is no note is left out."""
    error = ValueError("x")
    error.__notes__ = ["first", "password=hunter2", 7, *["more"] * 100]  # type: ignore[attr-defined]
    assert described(error)["notes"] == ["first", "password=[redacted]", "more", "more"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
def test_the_members_of_a_group_are_told() -> None:
    """A group tells its first members, and counts the others."""
    group = ExceptionGroup("several", [ValueError(str(number)) for number in range(100)])  # noqa: F821 - Python 3.11
    made = described(group)
    assert [member["message"] for member in made["exceptions"][:-1]] == ["0", "1", "2", "3", "4"]
    assert made["exceptions"][-1] == "... 95 more"
    nested = ExceptionGroup("a", [group, ExceptionGroup("b", [group])])  # noqa: F821 - Python 3.11
    assert str(described(nested)).count("'message'") == 8


def test_deep_recursion_shows_begin_and_end() -> None:
    """A traceback of a thousand frames shows the first and the last."""

    def fall(depth: int) -> None:
        if depth == 0:
            fail("deep")
        fall(depth - 1)

    made = described(caught(fall, 300))
    assert "more frames ..." in made["traceback"]
    assert made["traceback"].endswith("ValueError: deep")
    assert "in caught" in made["traceback"]
    assert len(made["traceback"]) < 10_000


def test_the_recorders_own_frames_are_left_out() -> None:
    """Frames of this package are not shown between those of the program."""
    made = described(caught(Capture(strict=True, clock=1).value, object()))  # type: ignore[arg-type]
    assert "in caught" in made["traceback"]
    assert "mission_tracer" not in made["traceback"].replace(__file__, "")


@pytest.mark.parametrize("raised", [ValueError, BaseException, RecursionError])
def test_an_exception_that_cannot_speak_is_named(raised: type[BaseException]) -> None:
    """An exception whose `__str__` raises is told by its type."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise raised

    assert described(MuteError())["message"] == f"<unreadable: {raised.__name__}>"
    assert CAPTURE.error(MuteError()) == f"{HERE}.MuteError: <unreadable: {raised.__name__}>"


def test_ctrl_c_in_the_words_of_an_exception_passes() -> None:
    """Ctrl-C while an exception is asked for its words is not swallowed."""

    class AskedError(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        words(AskedError())


def test_secrets_are_hidden_in_message_and_source() -> None:
    """Neither the message nor a source line of the traceback shows a secret."""

    def login() -> None:
        connect = dict
        connect(password="swordfish-1", url="https://bob:swordfish-2@x.com/?token=swordfish-3")
        raise PermissionError("refused: password=swordfish-4, Authorization: Bearer swordfish-5")

    def outer() -> None:
        try:
            login()
        except PermissionError as error:
            raise RuntimeError("api_key='swordfish-6'") from error

    made = described(caught(outer))
    assert "swordfish" not in str(made)
    assert "PermissionError" in str(made)


def test_an_enormous_message_is_cut() -> None:
    """A message of a hundred million characters is cut, in the traceback too."""
    made = described(caught(fail, "ab " * 30_000_000))
    assert len(made["message"]) < 10_000
    assert len(msgspec.json.encode(made)) <= 32768
    assert "characters cut" in made["message"]


def test_lone_surrogates_are_replaced() -> None:
    """A message that UTF-8 cannot say is made sayable."""
    assert described(ValueError("\ud800"))["message"] == "?"
