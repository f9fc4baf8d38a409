"""A text that is said to be harmless holds nothing that would be hidden."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_tracer._base.harmless import is_harmless
from mission_tracer._capture import Capture
from mission_tracer._redact import Redaction
from mission_tracer._redact.shapes import candidate
from tests.redact.test_shapes import TOKENS

SECRET = "hunter2 and more"
CAPTURE = Capture(redaction=Redaction.default(secrets=[SECRET]))
PARTS = st.sampled_from(
    ["password", "hunter2", "token", "Bearer", "basic", " ", "  ", "=", ":", "--api-key", "KEY", "SK0", "sk-", "ghp_",
     ".", "a1b2c3d4e5f6", "AKIA", "eyJ", "\n", "%", "\\", SECRET, "'", '"', ",", "-", "_", "é", "\udc80"]
)  # fmt: skip


@given(st.lists(PARTS | st.text(max_size=5) | st.sampled_from("K2AGJBb:=>-_,\"'"), max_size=8).map("".join))
def test_nothing_would_be_hidden_in_a_harmless_text(text: str) -> None:
    """Of a harmless text, redaction and the cut to one line leave every character."""
    if is_harmless(text, [SECRET]):
        assert candidate().search(text) is None
        assert CAPTURE.text(text) == CAPTURE.name(text) == text


@pytest.mark.parametrize("secret", TOKENS.values(), ids=TOKENS)
def test_no_secret_is_harmless(secret: str) -> None:
    """None of the shapes that are hidden is harmless, wherever it stands."""
    assert not is_harmless(secret)
    assert not is_harmless(f"call it {secret} now")


@pytest.mark.parametrize(
    "text", ["research", "step_1", "Found 3 contractors", "ABC is best", "nobody answered", "calls-2"]
)
def test_what_people_say_is_harmless(text: str) -> None:
    """Ordinary names and sentences need no closer look."""
    assert is_harmless(text)


@pytest.mark.parametrize("text", ["a\nb", "a  b", "é", "x" * 201, "call hunter2 and more"])
def test_what_is_not_certain_is_not_harmless(text: str) -> None:
    """Long texts, several lines, what is no ASCII and the secrets given get their closer look."""
    assert not is_harmless(text, [SECRET])
