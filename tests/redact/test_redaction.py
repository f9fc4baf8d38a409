"""What a redaction hides, how it is built from the setting, and how it cuts long texts."""

import dataclasses
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_tracer._redact.redaction import Redaction, is_control_flow
from mission_tracer.errors import ConfigurationError

TELNYX = "KEY" + "01AB9C4D" * 4 + "_" + "aB3dE6gH9j" * 2 + "Zz"
GITHUB = "ghp_" + "aB3dE6gH9j" * 3 + "aB3dE6"
BUILTIN = Redaction.default()


def test_the_marker_names_the_rule_and_shows_nothing_of_the_secret() -> None:
    """A marker tells the rule, never a part of what it hides."""
    assert BUILTIN.text(f"a {GITHUB} b") == "a [redacted: github token] b"
    assert BUILTIN.text("password=hunter2") == "password=[redacted]"


@pytest.mark.parametrize(("text", "shown"), [("otp=12", "otp=[redacted]"), ("pwd:abc", "pwd:[redacted]")])
def test_the_shortest_assignment_hides_its_value(text: str, shown: str) -> None:
    """A text of a few characters is read as any other when it assigns something."""
    assert BUILTIN.text(text) == shown


def test_text_without_secrets_comes_back_as_it_is() -> None:
    """Text without a secret is the same object, not a copy."""
    text = "window washers in Chicago: 12 found"
    assert BUILTIN.text(text) is text


def test_redacting_twice_changes_nothing() -> None:
    """A redacted text is redacted to itself."""
    once = BUILTIN.text(f"password={TELNYX} api_key: 'x y' {GITHUB} Authorization: Bearer abcdef")
    assert BUILTIN.text(once) == once


def test_overlapping_rules_leave_one_marker() -> None:
    """What two rules find in one place is hidden once."""
    redaction = Redaction.default(patterns=[r"ghp_\w+ b"], secrets=[GITHUB])
    assert redaction.text(f"a {GITHUB} b") in {"a [redacted: pattern]", "a [redacted: github token]"}


def test_added_patterns_hide_what_they_match() -> None:
    """A pattern, as text or compiled, is applied to every text."""
    redaction = Redaction.default(patterns=[r"ACME-\d+", re.compile("zeus", re.IGNORECASE)])
    assert redaction.text("ACME-12 and Zeus") == "[redacted: pattern] and [redacted: pattern]"


def test_a_pattern_that_matches_nothing_at_length_zero_is_harmless() -> None:
    """A pattern that matches the empty text hides nothing there."""
    assert Redaction.default(patterns=["x*"]).text("abxxc") == "ab[redacted: pattern]c"


def test_added_names_hide_keys_and_assignments() -> None:
    """A name added by the user counts as a key and in free text."""
    redaction = Redaction.default(extra_names=["customer_id"])
    assert redaction.is_secret_key("customerId")
    assert redaction.text("customer_id=77") == "customer_id=[redacted]"
    assert not BUILTIN.is_secret_key("customer_id")


@pytest.mark.parametrize("secret", ["s3cr3t/pass word", 'quo"te\\d secret', "päßwörter-1", TELNYX])
def test_an_exact_secret_is_hidden_in_every_spelling(secret: str) -> None:
    """A known secret is hidden as it is, in JSON, in a repr and in a URL."""
    redaction = Redaction.default(secrets=[secret])
    for text in (
        secret,
        f"a{secret}b",
        repr(secret),
        re.sub(r"[^\w.-]", lambda m: "".join(f"%{b:02X}" for b in m[0].encode()), secret),
    ):
        assert secret[:6] not in redaction.text(f"x {text} y")
        assert redaction.text(f"x {text} y").endswith(" y")


def test_a_short_secret_hides_whole_words_only() -> None:
    """A short known secret does not hide parts of longer words, and a tiny one nothing."""
    redaction = Redaction.default(secrets=["testing", "test"])
    assert redaction.text("test testing contesting") == "test [redacted: secret] contesting"


def test_the_repr_shows_no_secret() -> None:
    """A redaction's repr does not tell the secrets it knows."""
    assert TELNYX not in repr(Redaction.default(secrets=[TELNYX]))


def test_a_redaction_never_changes() -> None:
    """A redaction's attributes cannot be assigned."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        BUILTIN.builtin = False  # type: ignore[misc]


def test_more_names_than_are_remembered_are_judged_right() -> None:
    """Forgetting remembered names changes no verdict."""
    redaction = Redaction.default()
    for number in range(5000):
        assert not redaction.is_secret_key(f"name{number}")
        assert redaction.is_secret_key(f"name{number}_password")


def test_no_setting_means_the_built_in_rules() -> None:
    """`None` and True apply the built-in rules."""
    assert Redaction.build(None).text(GITHUB) == "[redacted: github token]"
    assert Redaction.build(True).is_secret_key("password")


def test_false_switches_the_rules_off_but_hides_the_api_key() -> None:
    """With False only the exact secrets are hidden."""
    redaction = Redaction.build(False, secrets=[TELNYX])
    assert redaction.text(f"{GITHUB} {TELNYX} password=x") == f"{GITHUB} [redacted: secret] password=x"
    assert not redaction.is_secret_key("password")


def test_a_redaction_is_taken_as_it_is_with_the_api_key_added() -> None:
    """A `Redaction` as setting keeps its rules and secrets and learns the API key."""
    given = Redaction.default(extra_names=["ssn"], secrets=["mnopqrstuvwx"])
    redaction = Redaction.build(given, secrets=["abcdefghijkl"])
    assert redaction.is_secret_key("ssn")
    assert redaction.text("abcdefghijkl mnopqrstuvwx") == "[redacted: secret] [redacted: secret]"


def test_a_list_holds_names_and_patterns() -> None:
    """A list's words are names, and its regular expressions are patterns."""
    redaction = Redaction.build(["customer_id", r"ACME-\d+", re.compile("zeus")])
    assert redaction.is_secret_key("customer_id")
    assert redaction.text("ACME-12 zeus") == "[redacted: pattern] [redacted: pattern]"
    assert Redaction.build("customer_id").is_secret_key("customer_id")


def test_a_callable_is_asked_and_added_to_the_rules() -> None:
    """A callable as setting becomes the callback; the built-in rules still apply."""
    redaction = Redaction.build(lambda path, value: f"{path}{value}")
    assert redaction.replaced(("a",), 1) == "('a',)1"
    assert redaction.is_secret_key("password")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (7, "not int"),
        (["("], "does not compile"),
        ([7], "pattern must be a string"),
        ([re.compile(b"x")], "must be"),
        ({}, "not dict"),
    ],
)
def test_a_wrong_setting_is_explained(setting: object, said: str) -> None:
    """A setting that cannot be used raises an error that says what is wrong."""
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        Redaction.build(setting)


def test_wrong_parts_are_explained() -> None:
    """A name that is no string and a callback that cannot be called are refused."""
    with pytest.raises(ConfigurationError, match="name must be a string"):
        Redaction.default(extra_names=[7])  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="callable"):
        Redaction.default(callback=7)  # type: ignore[arg-type]


def test_a_callback_that_raises_hides_the_value() -> None:
    """The value is hidden when the callback fails, whatever it raises."""

    def fail(path: object, value: object) -> object:
        raise exceptions.pop()

    exceptions = [ValueError("x"), BaseException("y"), RecursionError()]
    redaction = Redaction.default(callback=fail)
    for _ in range(3):
        assert redaction.replaced((), "secret") == "[redacted: callback failed]"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_control_flow_passes_the_callback(error: type[BaseException]) -> None:
    """Ctrl-C and exit are not swallowed because a callback was running."""

    def stop(path: object, value: object) -> object:
        raise error

    with pytest.raises(error):
        Redaction.default(callback=stop).replaced((), 1)


def test_cancellation_is_control_flow() -> None:
    """A cancelled task's exception is meant for the program."""
    cancelled = type("CancelledError", (BaseException,), {})
    assert is_control_flow(cancelled())
    assert not is_control_flow(ValueError())


# --- cutting -----------------------------------------------------------------------------------------------------


def test_a_short_text_is_not_cut() -> None:
    """A text within the limit keeps every character."""
    assert BUILTIN.excerpt("abc", 3) == "abc"


def test_a_long_text_keeps_begin_and_end_and_tells_the_rest() -> None:
    """A cut text says how many characters are missing, and what is kept adds up."""
    text = " ".join(f"word{number}" for number in range(3000))
    cut = BUILTIN.excerpt(text, 900)
    begin, missing, end = re.fullmatch(r"(.*) \.\.\. (\d+) characters cut \.\.\. (.*)", cut).groups()  # type: ignore[union-attr]
    assert text.startswith(begin)
    assert text.endswith(end)
    assert len(begin) + int(missing) + len(end) == len(text)
    assert len(end) == 300


def test_a_small_limit_keeps_the_begin_only() -> None:
    """A limit too small for two parts keeps the begin."""
    assert BUILTIN.excerpt("ab " * 1000, 30) == "ab " * 10 + " ... 2970 characters cut ..."


SECRETS = [
    TELNYX,
    GITHUB,
    "password='" + "hunter2 " * 30 + "'",
    "-----BEGIN PRIVATE KEY-----\nQUJDREVG\nR0hJ\n-----END PRIVATE KEY-----",
]
TELLING = ["01AB9C4D", "aB3dE6gH9j", "aB3", "hunter2", "QUJDREVG"]


@given(
    secret=st.sampled_from(SECRETS),
    before=st.integers(0, 9000),
    after=st.integers(0, 9000),
    limit=st.sampled_from([20, 100, 256, 300, 1000, 3000]),
    filler=st.sampled_from([" ", "ab ", "x\n"]),
)
def test_no_cut_lets_a_part_of_a_secret_through(secret: str, before: int, after: int, limit: int, filler: str) -> None:
    """Wherever a secret stands and wherever the cuts fall, no part of it is kept."""
    text = (filler * before)[:before] + " " + secret + " " + (filler * after)[:after]
    cut = BUILTIN.excerpt(text, limit)
    assert not any(part in cut for part in TELLING)
    assert len(cut) <= limit + 640 + 100


@given(before=st.integers(0, 6000), length=st.integers(60, 12_000), after=st.integers(0, 3000))
def test_no_cut_lets_the_end_of_a_long_token_through(before: int, length: int, after: int) -> None:
    """A token longer than every margin, cut anywhere, is not shown by its end."""
    token = ("ghp_" + "zQ7" * length)[:length]
    cut = BUILTIN.excerpt("a " * (before // 2) + token + " b" * (after // 2), 900)
    assert "zQ7" not in cut


def test_a_private_key_cut_at_its_begin_is_not_shown_by_its_end() -> None:
    """The end of a private key whose begin is out of sight is hidden."""
    lines = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpB\n" * 400
    cut = BUILTIN.excerpt(f"x\n-----BEGIN PRIVATE KEY-----\n{lines}-----END PRIVATE KEY-----\nbye", 900)
    assert "QUJDREVG" not in cut
    assert cut.endswith("bye")


def test_an_exact_secret_longer_than_the_margin_is_hidden_at_a_cut() -> None:
    """A known secret of any length is hidden where a cut would halve it."""
    secret = "Q7 " * 2000
    redaction = Redaction.build(False, secrets=[secret])
    for before in range(0, 2000, 97):
        assert "Q7" not in redaction.excerpt("a " * before + secret + " b" * 2000, 900)


def test_cutting_reads_only_what_it_keeps() -> None:
    """A hundred million characters are cut without being searched."""
    text = "password=x " * 9_000_000
    started = time.perf_counter()
    cut = BUILTIN.excerpt(text, 3000)
    assert time.perf_counter() - started < 1
    assert "=x" not in cut
    assert len(cut) < 8000
