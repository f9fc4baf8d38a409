"""Numbers that JSON can hold, and the names of types."""

import math
import sys

import pytest

from mission_tracer._capture.plain import integer, real, type_name


@pytest.mark.parametrize("number", [0, -(2**63), 2**63 - 1])
def test_an_integer_of_64_bits_stays_a_number(number: int) -> None:
    """An integer that fits 64 bits is kept."""
    assert integer(number) == number


def test_a_longer_integer_becomes_text() -> None:
    """A longer integer is written out, an enormous one by its length, under any digit limit."""
    assert integer(2**63) == str(2**63)
    assert integer(-(10**200)) == str(-(10**200))
    limit = sys.get_int_max_str_digits() if hasattr(sys, "get_int_max_str_digits") else None
    if limit is not None:
        sys.set_int_max_str_digits(640)
    try:
        assert integer(10**610) == "1" + "0" * 610
        assert integer(1 << 3_321_928) == "<int, about 1000001 digits>"
    finally:
        if limit is not None:
            sys.set_int_max_str_digits(limit)


def test_what_json_has_no_number_for_becomes_text() -> None:
    """Infinities and not-a-number become their names."""
    assert [real(math.inf), real(-math.inf), real(math.nan), real(0.5)] == ["Infinity", "-Infinity", "NaN", 0.5]


def test_a_type_is_named_as_code_names_it() -> None:
    """A type's name has its module unless everybody knows it, and no trace of the function it was made in."""

    class Local:
        pass

    assert type_name(int) == "int"
    assert type_name(Local) == f"{__name__}.Local"
    assert type_name(type("X" * 1000, (), {"__module__": "__main__"})) == "X" * 200 + "..."
    assert type_name(type("Odd", (), {"__module__": 7})) == "Odd"
