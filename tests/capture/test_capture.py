"""Whatever a program works with is captured: it fits, it is JSON, it shows no secret, and nothing is raised."""

import dataclasses
import functools
import re
import threading
import types
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mission_tracer._capture.capture import Capture
from mission_tracer._redact.redaction import Redaction
from mission_tracer.errors import ConfigurationError

encode = msgspec.json.encode
TELNYX = "KEY" + "01AB9C4D" * 4 + "_" + "aB3dE6gH9j" * 2 + "Zz"
GITHUB = "ghp_" + "aB3dE6gH9j" * 3 + "aB3dE6"
HERE = __name__
CAPTURE = Capture(strict=True)


def agent(city: str, limit: int = 3, *rest: Any, password: str | None = None, **options: Any) -> None: ...


class Plain:
    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


class Spoken:
    def __init__(self, said: str) -> None:
        self.said = said

    def __repr__(self) -> str:
        return self.said


class Raising:
    def __repr__(self) -> str:
        raise ValueError("no")

    __hash__ = object.__hash__


@dataclasses.dataclass(frozen=True)
class Data:
    value: Any


TEXT = st.text(max_size=300) | st.text(st.characters(), max_size=20)
KEYS = TEXT | st.integers() | st.binary(max_size=10) | st.none() | st.tuples(st.integers(), TEXT) | st.floats()
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXT
    | st.binary(max_size=300)
    | st.decimals()
    | st.fractions()
    | st.datetimes()
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.complex_numbers()
    | st.builds(Spoken, TEXT)
    | st.builds(Raising)
    | st.builds(object)
    | st.functions()
    | st.builds(ValueError, TEXT)
    | st.builds(lambda: (number for number in range(3)))
    | st.just(int)
    | st.builds(threading.Lock)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=12)
        | st.builds(Data, inner)
        | st.builds(lambda one: Plain(one=one, other=[one]), inner)
        | st.sets(st.integers() | TEXT)
        | st.builds(types.MappingProxyType, st.dictionaries(TEXT, inner, max_size=3))
    ),
    max_leaves=40,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(VALUES, st.integers(64, 4000))
def test_every_value_becomes_json_of_bounded_size(value: Any, most: int) -> None:
    """Any value becomes JSON within its bytes, and comes back from JSON as it went."""
    made = CAPTURE.value(value, max_bytes=most)
    encoded = encode(made)
    assert len(encoded) <= most
    assert msgspec.json.decode(encoded) == made


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(VALUES)
def test_every_value_has_a_line_and_a_summary(value: Any) -> None:
    """Any value becomes one line of bounded length, and a summary."""
    line, summary = CAPTURE.text(value, max_chars=80), CAPTURE.summary(value)
    assert len(line) <= 80
    assert len(summary) <= 300
    assert len((line + summary).splitlines()) <= 1
    (line + summary).encode()


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(VALUES, max_size=3), st.dictionaries(st.text(max_size=10), VALUES, max_size=3), st.booleans())
def test_every_call_is_captured(args: list[Any], kwargs: dict[str, Any], skip_first: bool) -> None:
    """Any arguments, right or wrong, become a dict that fits."""
    made = CAPTURE.arguments(agent, args, kwargs, skip_first=skip_first)
    assert isinstance(made, dict)
    assert len(encode(made)) <= CAPTURE.max_bytes


@given(TEXT, st.lists(TEXT, max_size=3))
def test_every_exception_is_captured(message: str, notes: list[str]) -> None:
    """Any exception becomes a dict that fits and a line."""
    error = ValueError(message)
    error.__notes__ = notes  # type: ignore[attr-defined]
    assert len(encode(CAPTURE.exception(error))) <= CAPTURE.max_bytes
    assert CAPTURE.error(error).startswith("ValueError")


SECRETS = [TELNYX, GITHUB, "swordfish-7", "sk-proj-" + "aB3dE6gH9j" * 4]
POSITIONS: list[Any] = [
    lambda s: {"password": s},
    lambda s: {"a": [{"api_key": s}]},
    lambda s: {"headers": [("Authorization", f"Bearer {s}")]},
    lambda s: {"headers": [(b"x-api-key", s.encode())]},
    lambda s: {"name": "TOKEN", "value": s},
    lambda s: f"https://bob:{s}@x.com/path",
    lambda s: f"GET https://x.com/?q=1&api_key={s}&x=2",
    lambda s: f'{{"access_token": "{s}", "n": 1}}',
    lambda s: f"Authorization: Bearer {s}",
    lambda s: ["mysql", "--password", s],
    lambda s: f"mysql --password={s} -u root",
    lambda s: Spoken(f"Client(api_key='{s}', n=1)"),
    lambda s: Plain(api_key=s, city="x"),
    lambda s: Data({"client_secret": s}),
    lambda s: f"password: {s}".encode(),
    lambda s: ValueError(f"token={s} refused"),
    lambda s: {(1, f"token={s}"): 1},
    lambda s: {f"https://u:{s}@h/": 1},
    lambda s: "x " * 9000 + f"password='{s}'" + " y" * 9000,
    lambda s: {"deep": {"deeper": [[[{"credentials": {"user": "bob", "key": s}}]]]}},
    lambda s: functools.partial(agent, password=s),
    lambda s: types.SimpleNamespace(session_token=s),
    lambda s: {"env": {"PGPASSWORD": s, "DATABASE_URL": f"postgres://u:{s}@h/db"}},
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("place", POSITIONS)
def test_a_secret_is_shown_in_no_position(place: Any, secret: str) -> None:
    """Wherever a secret stands in a value, no output of capture shows it."""
    value = place(secret)
    error = RuntimeError(f"{value!r} and {value!s}")
    arguments = CAPTURE.arguments(agent, (value,), {"x": value})
    outputs = [
        CAPTURE.value(value),
        CAPTURE.value([value, {"k": value}]),
        CAPTURE.value(value, max_bytes=200),
        CAPTURE.text(value, max_chars=500),
        CAPTURE.text(str(value), max_chars=500),
        CAPTURE.summary(value),
        CAPTURE.summary({"r": value}),
        arguments,
        CAPTURE.call("find", arguments),
        CAPTURE.returned("find", CAPTURE.value(value)),
        CAPTURE.exception(error),
        CAPTURE.error(error),
    ]
    for output in outputs:
        assert secret not in str(output)
        assert secret[-12:] not in str(output)


def test_a_call_and_its_result_are_said_in_a_line() -> None:
    """A call reads as in code; what it returned reads like a sentence."""
    assert CAPTURE.call("find", {"city": "Chicago", "count": 3}) == "find(city='Chicago', count=3)"
    assert CAPTURE.call("find", {}) == "find()"
    assert CAPTURE.returned("find", [1, 2]) == "find: 2 items: 1, 2"
    assert CAPTURE.returned("find", None) == "find returned"
    assert CAPTURE.returned("find", "") == "find returned"
    assert len(CAPTURE.call("find", {"text": "x" * 5000})) == len("find()") + 200


def test_what_a_secretly_named_call_returned_is_hidden() -> None:
    """The result of a call whose name means a secret is not said."""
    assert CAPTURE.returned("get_password", "swordfish-7") == "get_password: [redacted]"


@pytest.mark.parametrize("setting", [[r"card=\d+", r"find: \d+"], lambda path, value: str(value).replace("77", "..")])
def test_rules_of_the_user_see_whole_lines(setting: Any) -> None:
    """A user's patterns and callback are asked for the line of a call too, not only for its parts."""
    capture = Capture(redaction=Redaction.build(setting), strict=True)
    assert "77" not in capture.call("pay", {"card": 77})
    assert "77" not in capture.returned("find", 77)


FILLERS = st.sampled_from(["", "lorem ipsum ", "x", "a,b;c=d ", "y\n", "\\\\n", '"', "'", "("])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(
        st.tuples(FILLERS, st.integers(0, 2000), st.sampled_from(POSITIONS[5:11]), st.sampled_from(SECRETS), FILLERS),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([64, 100, 300, 1000, 5000, 32768]),
)
def test_no_cut_of_a_payload_shows_a_part_of_a_secret(parts: list[Any], most: int) -> None:
    """Wherever secrets stand in long texts and however little is kept of them, no part of one is shown."""
    texts = [
        f"{(filler * times)[:times]} {place(secret)} {(after * times)[:times]}"
        for filler, times, place, secret, after in parts
    ]
    for value in (texts, dict(enumerate(texts)), [{"a": ValueError(text)} for text in texts], repr(texts)):
        output = str(CAPTURE.value(value, max_bytes=most))
        assert not any(part in output for part in ("aB3dE6", "01AB9C4D", "swordfish"))


@pytest.mark.parametrize("place", [lambda s: s, lambda s: {s: s}, lambda s: [f"x{s}y"], lambda s: {"note": f"({s})"}])
def test_a_known_secret_of_any_shape_is_hidden(place: Any) -> None:
    """The configured API key is hidden by its value alone, even with the rules switched off."""
    secret = "not of any known shape!"
    capture = Capture(redaction=Redaction.build(False, secrets=[secret]), strict=True)
    value = place(secret)
    for output in (capture.value(value), capture.text(value), capture.summary(value), capture.error(ValueError(value))):
        assert secret not in str(output)
        assert "redacted" in str(output)


class Unreadable(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise RuntimeError

    __iter__ = __len__ = __getitem__  # type: ignore[assignment]


class Liar:
    __class__ = dict  # type: ignore[assignment]


class Mute:
    def __getattribute__(self, name: str) -> object:
        raise RuntimeError


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: {"a": 1}, {"a": 1}),
        (dict, {}),
        (lambda: 3, {"result": 3}),
        (lambda: None, {"result": None}),
        (lambda: [1], {"result": [1]}),
        (lambda: types.MappingProxyType({"a": 1}), {"a": 1}),
        (Unreadable, {"result": f"<{__name__}.Unreadable, unreadable: TypeError>"}),
        (Liar, {"result": f"<{__name__}.Liar>"}),
        (Mute, {"result": f"<{__name__}.Mute>"}),
        (lambda: weakref.proxy(set()), {"result": re.sub(" at 0x[0-9a-f]+", "", repr(weakref.proxy(set())))}),
    ],
)
def test_anything_becomes_an_object(make: Callable[[], Any], expected: Any) -> None:
    """A mapping's entries are an object; anything else, and a mapping that cannot be read, is its `result`."""
    shown = CAPTURE.mapping(make())
    assert shown == expected


def test_a_name_is_only_changed_where_a_secret_stands() -> None:
    """Names and ids keep their blanks and their length; their secrets are hidden, each time, also with a callback."""
    capture = Capture(redaction=Redaction.default(callback=lambda path, value: "never asked"), strict=True)
    for _ in range(2):
        assert capture.name("Find  window washers\n") == "Find  window washers\n"
        assert capture.name("x" * 5000) == "x" * 5000
        assert capture.name(f"call {GITHUB}") == "call [redacted: github token]"
        assert capture.name("odd \ud800").encode()


def test_keys_that_differ_in_a_secret_stay_different() -> None:
    """An idempotency key shows no secret, and is the same for the same one only."""
    one, other = (CAPTURE.key(f"charge {GITHUB}{end}") for end in "ab")
    assert one != other
    assert CAPTURE.key(f"charge {GITHUB}a") == one
    assert GITHUB not in one + other
    assert CAPTURE.key("charge-1") == "charge-1"


def test_arguments_stand_under_their_names() -> None:
    """A call's arguments are captured by name, secrets hidden."""
    assert CAPTURE.arguments(agent, ("Chicago", 2, 3), {"password": "x", "q": [1]}) == {
        "city": "Chicago",
        "limit": 2,
        "rest": [3],
        "password": "[redacted]",
        "q": [1],
    }


def test_self_is_left_out_when_the_caller_says_so() -> None:
    """The first argument is left out on request, also of a call that does not fit."""
    assert CAPTURE.arguments(agent, ("self", 5), {}, skip_first=True) == {"limit": 5, "password": None}
    assert CAPTURE.arguments(lambda: None, ("self", 5), {"k": 1}, skip_first=True) == {"args": [5], "kwargs": {"k": 1}}


def test_a_callable_without_a_signature_is_captured_as_called() -> None:
    """Arguments of a callable that tells no signature are captured by position."""
    assert CAPTURE.arguments(type, (1,), {}) == {"args": [1], "kwargs": {}}


def test_names_keeps_names_and_types_only() -> None:
    """In the mode `names` no value is kept."""
    capture = Capture("names", strict=True)
    assert capture.arguments(agent, ("Chicago", 2), {"password": "x", GITHUB: 1}) == {
        "city": "str",
        "limit": "int",
        "password": "str",
        "[redacted: github token]": "int",
    }
    assert capture.summary({"a": 1}) == "dict"
    assert capture.value({"a": 1}) == {"a": 1}


def test_off_keeps_nothing_of_arguments_and_results() -> None:
    """In the mode `off` arguments and results leave nothing; what is recorded explicitly stays."""
    capture = Capture("off", strict=True)
    assert capture.arguments(agent, ("Chicago",), {}) == {}
    assert capture.summary({"a": 1}) == ""
    assert capture.text("said") == "said"
    assert capture.value({"a": 1}) == {"a": 1}


def test_an_unknown_mode_is_refused() -> None:
    """A mode that does not exist is refused by name."""
    with pytest.raises(ConfigurationError, match="full, names, off"):
        Capture("all")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"best": "ABC Cleaning", "quote": 350}, "best: ABC Cleaning, quote: 350"),
        (Data("x"), "value: x"),
        ("two\n lines", "two lines"),
        (["a", "b", "c"], "3 items: a, b, c"),
        ([1], "1 item: 1"),
        ([], "0 items"),
        (list(range(10_000)), "10000 items: 0, 1, 2, 3, 4"),
        (
            {"rows": [1, 2], "more": {"a": 1}, "ok": True, "none": None},
            "rows: 2 items, more: 1 field, ok: true, none: none",
        ),
        (None, ""),
        (350, "350"),
        (False, "false"),
        (0.5, "0.5"),
        ({"password": "x"}, "password: [redacted]"),
    ],
)
def test_a_summary_reads_like_a_sentence(value: Any, expected: str) -> None:
    """A result is summed up in a line a person reads."""
    assert CAPTURE.summary(value) == expected


def test_a_long_summary_is_cut() -> None:
    """A summary is no longer than three hundred characters."""
    assert CAPTURE.summary("word " * 1000).endswith("...")
    assert len(CAPTURE.summary({f"k{number}": "x" * 50 for number in range(100)})) == 300


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a\n\tb ", "a b"), ({"a": [1, None]}, '{"a":[1,null]}'), (7, "7"), (Data("x"), '{"value":"x"}'), ("\ud800", "?")],
)
def test_a_line_is_one_line(value: Any, expected: str) -> None:
    """Any value is written on one line."""
    assert CAPTURE.text(value) == expected


def test_a_line_is_cut() -> None:
    """A line has the length it may have, and no half of a secret."""
    assert CAPTURE.text("abcdef", max_chars=5) == "ab..."
    for before in range(60):
        assert "aB3d" not in CAPTURE.text("a" * before + " " + GITHUB, max_chars=40)


def test_an_error_is_one_line() -> None:
    """An exception is said in one bounded line."""
    assert CAPTURE.error(ValueError("two\nlines")) == "ValueError: two lines"
    assert CAPTURE.error(ValueError()) == "ValueError"
    assert len(CAPTURE.error(ValueError("x" * 100_000_000))) == 500


def test_our_own_failure_shows_as_a_marker() -> None:
    """A failure of capture itself becomes a marker, never an exception; in strict mode it is raised."""
    broken: Any = Capture(clock=None)  # type: ignore[arg-type]
    assert broken.value(object()) == {"capture_error": "TypeError"}
    assert broken.arguments(agent, (object(),), {}) == {"capture_error": "TypeError"}
    assert broken.text(object()) == "capture error: TypeError"
    assert broken.summary(object()) == "capture error: TypeError"
    mute: Any = Capture(redaction=Redaction.default(callback=lambda path, value: 1 / 0))
    assert mute.error(ValueError("x")) == "[redacted: callback failed]"
    assert mute.exception(ValueError("x"))["message"] == "[redacted: callback failed]"
    strict: Any = Capture(clock=None, strict=True)  # type: ignore[arg-type]
    for call in (strict.value, strict.text, strict.summary):
        with pytest.raises(TypeError):
            call(object())


def test_exceptions_that_are_none_become_markers() -> None:
    """What is no exception does not make capture raise."""
    odd: Any = 7
    assert Capture().exception(odd) == {"capture_error": "AttributeError"}
    assert Capture().error(odd) == "int: 7"


def test_near_the_recursion_limit_a_marker_is_given() -> None:
    """A program deep in recursion gets a marker instead of an error it would not have had."""

    def descend() -> Any:
        try:
            return descend()
        except RecursionError:
            return Capture().value({"a": [object()]})

    assert descend() is not None


def test_the_callback_is_asked_for_lines_and_exceptions_too() -> None:
    """Lines, errors and exceptions pass the callback with an empty path."""
    redaction = Redaction.default(
        callback=lambda path, value: value.replace("ABC", "#") if path == () and isinstance(value, str) else value
    )
    capture = Capture(redaction=redaction, strict=True)
    assert capture.text("x ABC") == "x #"
    assert capture.summary("x ABC") == "x #"
    assert capture.error(ValueError("x ABC")) == "ValueError: x #"
    assert capture.exception(ValueError("x ABC"))["message"] == "x #"


def test_a_payload_smaller_than_possible_gets_the_least_size() -> None:
    """Sixty-four bytes are the least a value gets."""
    assert Capture(max_bytes=1).max_bytes == 64
    assert CAPTURE.value("x" * 1000, max_bytes=1).startswith("xx")


def test_what_is_given_is_not_changed() -> None:
    """Captured containers share nothing with what was given, and keep it as it was."""
    value = {"a": [1, {"b": 2}], "password": "x"}
    made = CAPTURE.value(value)
    made["a"][1]["b"] = 3
    assert value == {"a": [1, {"b": 2}], "password": "x"}


def test_threads_may_share_a_capture() -> None:
    """One capture serves many threads at once."""
    made: list[Any] = []

    def work(number: int) -> None:
        for turn in range(200):
            made.append(CAPTURE.value({f"k{number}_{turn}": Data(number), "password": turn}))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1600
    assert all(one["password"] == "[redacted]" for one in made)


def test_five_megabytes_become_one_payload_with_a_marker() -> None:
    """A payload of five megabytes is cut to its size and says what is missing."""
    made = CAPTURE.value({"page": "word " * 1_000_000, "url": "https://x.com"})
    assert made["url"] == "https://x.com"
    assert re.search(r"\d+ characters cut", made["page"])
    assert 30_000 < len(encode(made)) <= 32768
