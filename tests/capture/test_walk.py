"""Bounds of a walk: depth, breadth, text and time; keys, cycles and the callback."""

import threading
from typing import Any

import msgspec
import pytest

from mission_tracer._capture.portraits import Portraits
from mission_tracer._capture.walk import MAX_DEPTH, Names, Walk, clean
from mission_tracer._redact.redaction import Redaction

GITHUB = "ghp_" + "aB3dE6gH9j" * 3 + "aB3dE6"


class Clock:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def walk(redaction: Redaction | None = None, *, max_bytes: int = 32768, clock: Clock | None = None) -> Walk:
    redaction = redaction or Redaction.default()
    return Walk(redaction, Names(redaction), portraits=Portraits(), max_bytes=max_bytes, clock=clock or Clock())


def shown(value: Any, **options: Any) -> Any:
    return walk(**options).value(value)


class Counted:
    """Counts how often it is looked at."""

    looked = 0

    def __repr__(self) -> str:
        type(self).looked += 1
        return "counted"


@pytest.mark.parametrize(
    "make", [lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: (inner,), lambda inner: {"k": [inner]}]
)
def test_depth_is_bounded(make: Any) -> None:
    """Five thousand containers in each other are shown twelve deep."""
    value: Any = "end"
    for _ in range(5000):
        value = make(value)
    assert str(shown(value)).count("[") + str(shown(value)).count("{") == MAX_DEPTH


def test_depth_is_told() -> None:
    """What lies too deep is named with its size."""
    value: Any = [1, 2, 3]
    for _ in range(MAX_DEPTH):
        value = [value]
    made = shown(value)
    for _ in range(MAX_DEPTH):
        made = made[0]
    assert made == "<list, 3 items>"


def test_a_container_holding_itself_is_told() -> None:
    """Cycles through any kind of container end where they close; what is merely shared is shown twice."""
    row: list[Any] = [1]
    row.append(row)
    assert shown(row) == [1, "<list holding itself>"]
    entry: dict[str, Any] = {}
    entry["self"] = [entry]
    assert shown(entry) == {"self": ["<dict holding itself>"]}
    shared = [1]
    assert shown([shared, shared]) == [[1], [1]]

    class Node:
        def __init__(self) -> None:
            self.parts = [self]

    assert shown(Node())["fields"]["parts"] == [f"<{__name__}.Node holding itself>"]


def test_sharing_that_doubles_at_each_level_is_bounded() -> None:
    """A structure that unfolds to two to the fortieth parts is visited within the budget."""
    value: Any = Counted()
    Counted.looked = 0
    for _ in range(40):
        value = [value, value]
    shown(value)
    inner: Any = [Counted()]
    for _ in range(MAX_DEPTH - 2):
        inner = [inner, inner]
    shown(inner)
    assert 0 < Counted.looked <= 32768 // 16


def test_breadth_is_bounded_and_told() -> None:
    """Of a million entries only as many are visited as can be kept, and the others are counted."""
    Counted.looked = 0
    made = shown([Counted()] * 1_000_000)
    assert made[-1] == f"... {1_000_000 - Counted.looked} more"
    assert 500 < Counted.looked <= 2048
    entries = shown(dict.fromkeys(range(1_000_000)))
    assert entries["..."] == f"{1_000_000 - len(entries) + 1} more"


def test_a_large_part_leaves_something_for_its_siblings() -> None:
    """What stands after a large container is still visited."""
    made = shown({"rows": [list(range(5)) for _ in range(10_000)], "after": {"a": [1, 2]}})
    assert made["after"] == {"a": [1, 2]}
    assert len(made["rows"]) > 100


def test_text_altogether_is_bounded() -> None:
    """Many long texts are read up to a budget, the rest told by their length; short ones are always shown."""
    made = shown(["x" * 10_000] * 1000 + ["short"])
    assert sum(map(len, made)) < 8 * 32768
    assert made[-2] == "... 10000 characters ..."
    assert made[-1] == "short"


def test_time_in_foreign_code_is_bounded() -> None:
    """Once the objects' own code has used its time, further objects are named only."""
    clock = Clock()

    class Slow:
        def __repr__(self) -> str:
            clock.now += 0.02
            return "slow"

    made = shown([Slow() for _ in range(5)], clock=clock)
    assert made == ["slow"] * 3 + [f"<{__name__}.Slow>"] * 2


def test_a_repr_of_any_size_is_cut() -> None:
    """A repr of a hundred million characters is cut, and secrets in it are hidden."""

    class Huge:
        def __repr__(self) -> str:
            return f"password='hunter2' {GITHUB} " + "ab " * 30_000_000

    made = shown(Huge())
    assert len(made) < 40_000
    assert "hunter2" not in made
    assert "aB3dE6" not in made


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({1: 1, None: 2, 1.5: 3, False: 4}, {"1": 1, "None": 2, "1.5": 3, "False": 4}),
        ({(1, "a"): 1, frozenset(): 2}, {"[1, 'a']": 1, "<frozenset>": 2}),
        ({1: "a", "1": "b"}, {"1": "a", "1 (2)": "b"}),
        ({b"token": "hunter2"}, {"token": "[redacted]"}),
        ({GITHUB: 1}, {"[redacted: github token]": 1}),
        ({(GITHUB,): 1}, {"['[redacted: github token]']": 1}),
        ({10**30: 1}, {"1" + "0" * 30: 1}),
        ({"\ud800": 1}, {"?": 1}),
        ({type("Text", (str,), {"__hash__": str.__hash__})("password"): "hunter2"}, {"password": "[redacted]"}),
    ],
)
def test_keys_become_texts(mapping: Any, expected: Any) -> None:
    """Keys of every type become redacted texts, and no entry is lost to a namesake."""
    assert shown(mapping) == expected
    msgspec.json.encode(shown(mapping))


def test_an_object_as_key_is_shown_and_a_failing_one_is_named() -> None:
    """A key is shown by its portrait, whatever its class does."""

    class Key:
        def __repr__(self) -> str:
            raise ValueError

    assert shown({Key(): 1}) == {f"<{__name__}.Key, unreadable: ValueError>": 1}


def test_a_long_key_is_cut() -> None:
    """A key of a million characters is cut."""
    (key,) = shown({"k" * 1_000_000: 1})
    assert len(key) < 1000


@pytest.mark.parametrize("value", ["hunter2", 1234, ["hunter2"], {"a": "hunter2"}, b"hunter2", object(), 0.5])
def test_whatever_stands_beside_a_secret_name_is_hidden(value: Any) -> None:
    """A value of any type beside a secret name is hidden whole."""
    assert shown({"password": value}) == {"password": "[redacted]"}


@pytest.mark.parametrize("value", [None, True, False, ""])
def test_what_says_nothing_is_not_hidden(value: Any) -> None:
    """Nothing, yes, no and the empty text are shown even beside a secret name."""
    assert shown({"password": value}) == {"password": value}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([("Authorization", "Bearer x")], [["Authorization", "[redacted]"]]),
        ([["cookie", "a=b"]], [["cookie", "[redacted]"]]),
        ({"name": "Authorization", "value": "hunter2"}, {"name": "Authorization", "value": "[redacted]"}),
        ({"key": "API_KEY", "value": "hunter2"}, {"key": "API_KEY", "value": "[redacted]"}),
        ({"Key": "password", "Value": "hunter2"}, {"Key": "password", "Value": "[redacted]"}),
        ({"Name": "password", "Value": ["hunter2"]}, {"Name": "password", "Value": "[redacted]"}),
        ({"name": "password", "value": None}, {"name": "password", "value": None}),
        ({"name": "password", "value": False}, {"name": "password", "value": False}),
        ({"name": "password", "value": 0}, {"name": "password", "value": "[redacted]"}),
        ({"name": "password", "other": 0}, {"name": "password", "other": 0}),
        (["curl", "--api-key", "hunter2", "-v"], ["curl", "--api-key", "[redacted]", "-v"]),
        (["--tokens", "5", "-", "x"], ["--tokens", "5", "-", "x"]),
        (("city", "Chicago"), ["city", "Chicago"]),
    ],
)
def test_names_and_values_are_known_in_other_arrangements(value: Any, expected: Any) -> None:
    """Pairs, name-and-value entries and command lines hide their secrets."""
    assert shown(value) == expected


def test_raw_headers_are_hidden() -> None:
    """Headers as pairs of bytes hide their secrets."""
    assert shown([(b"authorization", b"Bearer hunter2")])[0][1] == "[redacted]"


def test_lone_surrogates_are_replaced() -> None:
    """What UTF-8 cannot say becomes a question mark."""
    assert shown(["\ud800x", "é"]) == ["?x", "é"]
    assert clean("plain") == "plain"


def test_the_callback_is_asked_for_every_value_with_its_path() -> None:
    """The callback sees every value with the keys that lead to it, and what it returns is shown."""
    seen: list[Any] = []

    def callback(path: tuple[Any, ...], value: Any) -> Any:
        seen.append(path)
        return "changed" if path == ("rows", 1, "name") else value

    made = shown({"rows": [1, {"name": "ABC"}], "n": None}, redaction=Redaction.default(callback=callback))
    assert made == {"rows": [1, {"name": "changed"}], "n": None}
    assert seen == [(), ("rows",), ("rows", 0), ("rows", 1), ("rows", 1, "name"), ("n",)]


def test_the_callback_sees_objects_and_the_text_made_of_them() -> None:
    """The callback may hide an object by its type, or the text that its repr gives."""

    class Card:
        def __repr__(self) -> str:
            return "card 1234"

    def by_type(_: Any, value: Any) -> Any:
        return "a card" if isinstance(value, Card) else value

    def by_text(_: Any, value: Any) -> Any:
        return value.replace("1234", "#") if isinstance(value, str) else value

    assert shown([Card()], redaction=Redaction.default(callback=by_type)) == ["a card"]
    assert shown([Card()], redaction=Redaction.default(callback=by_text)) == ["card #"]
    assert shown([Card()], redaction=Redaction.default(callback=lambda _, v: None if v == "card 1234" else v)) == [None]


def test_what_the_callback_returns_is_redacted_too() -> None:
    """The built-in rules apply to what the callback returns."""
    redaction = Redaction.default(callback=lambda path, value: f"token={GITHUB}")
    assert shown(1, redaction=redaction) == "token=[redacted]"
    endless: Any = Redaction.default(callback=lambda path, value: [value])
    assert isinstance(shown(1, redaction=endless), list)


def test_a_failing_callback_hides() -> None:
    """A callback that raises hides the value it was asked about, and nothing else."""

    def callback(path: tuple[Any, ...], value: Any) -> Any:
        if path == ("a",):
            raise ValueError
        return value

    assert shown({"a": "x", "b": 1}, redaction=Redaction.default(callback=callback)) == {
        "a": "[redacted: callback failed]",
        "b": 1,
    }


def test_a_mapping_that_grows_meanwhile_does_no_harm() -> None:
    """A dict, list and set that another thread changes are captured without an error."""
    changing: Any = {"d": {}, "l": [], "s": set()}
    ending = threading.Event()

    def change() -> None:
        number = 0
        while not ending.is_set():
            number += 1
            changing["d"][number % 100] = number
            changing["d"].pop((number * 7) % 100, None)
            changing["l"].append(number)
            changing["s"].add(number % 100)
            changing["s"].discard((number * 7) % 100)
            if number % 100 == 0:
                changing["l"].clear()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            made = shown(changing)
            assert "unreadable" not in str(made)
    finally:
        ending.set()
        thread.join()


def test_a_portrait_of_an_enormous_type_name_is_bounded() -> None:
    """A type's name of a million characters is cut."""
    odd = type("X" * 1_000_000, (), {})()
    assert len(shown(odd)) < 300
    msgspec.json.encode(shown([odd]))
