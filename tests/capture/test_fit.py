"""Cutting plain data to a size, fairly and honestly."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_tracer._capture.fit import fit

encode = msgspec.json.encode

LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
DATA = st.recursive(
    LEAVES | TEXTS,
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(TEXTS, inner, max_size=20),
    max_leaves=80,
)


@given(DATA, st.integers(32, 3000))
def test_whatever_is_given_fits(data: Any, most: int) -> None:
    """Any data fits the bytes it may have, and what already fits is unchanged."""
    fitting = fit(data, most)
    assert len(encode(fitting)) <= most
    if len(encode(data)) <= most:
        assert fitting is data


@given(DATA.filter(lambda data: isinstance(data, (dict, list))))
def test_a_container_stays_one(data: Any) -> None:
    """A dict stays a dict and a list a list, however little room there is."""
    assert type(fit(data, 32)) is type(data)


def test_small_parts_survive_beside_large_ones() -> None:
    """A large part is cut before small ones beside it."""
    data = {"rows": list(range(10_000)), "text": "x" * 10_000, "summary": "all went well"}
    fitting = fit(data, 2000)
    assert fitting["summary"] == "all went well"
    assert len(fitting["rows"]) > 50
    assert len(fitting["text"]) > 500


def test_a_cut_text_keeps_begin_and_end() -> None:
    """A cut text says how many characters are missing."""
    cut = fit("begin " + "é" * 10_000 + " end", 300)
    assert cut.startswith("begin é")
    assert cut.endswith("é end")
    missing = int(re.search(r" \.\.\. (\d+) characters cut \.\.\. ", cut)[1])  # type: ignore[index]
    assert len(cut) - len(f" ... {missing} characters cut ... ") + missing == 10_010


def test_a_cut_list_keeps_its_first_items_whole() -> None:
    """A cut list keeps items from its begin as they are, and counts the others."""
    data = [{"name": f"contractor {number}", "price": number} for number in range(1000)]
    cut = fit(data, 2000)
    assert cut[:-1] == data[: len(cut) - 1]
    assert cut[-1] == f"... {1000 - len(cut) + 1} more"
    assert len(cut) > 30


def test_a_cut_dict_counts_its_missing_entries() -> None:
    """A cut dict keeps entries from its begin and counts the others."""
    data = {f"key {number}": number for number in range(1000)}
    cut = fit(data, 1000)
    assert cut["key 0"] == 0
    assert cut["..."] == f"{1000 - len(cut) + 1} more"


def test_what_was_cut_before_is_counted() -> None:
    """Data that already tells of missing parts is cut further with the sum told."""
    cut = fit([*range(500), "... 9500 more"], 400)
    assert cut[-1] == f"... {10_000 - len(cut) + 1} more"
    entries = fit({**{f"k{number}": number for number in range(500)}, "...": "9500 more"}, 400)
    assert entries["..."] == f"{10_000 - len(entries) + 1} more"
    text = fit("a" * 2000 + " ... 5000 characters cut ... " + "b" * 1000, 600)
    begin, missing, end = re.fullmatch(r"(a*) \.\.\. (\d+) characters cut \.\.\. (b*)", text).groups()  # type: ignore[union-attr]
    assert len(begin) + int(missing) + len(end) == 8000


@pytest.mark.parametrize("character", ["\0", "€", "😀", '"'])
def test_characters_that_grow_in_json_are_counted_as_they_grow(character: str) -> None:
    """Characters that take up to six bytes in JSON fit as well."""
    assert 150 <= len(encode(fit(character * 5000, 300))) <= 300


def test_a_number_never_grows() -> None:
    """Numbers are not cut but left out with their neighbours."""
    assert fit([2**62] * 100, 100) == [2**62, 2**62, "... 98 more"]
