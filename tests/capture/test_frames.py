"""Tables and columns are summarized."""

from typing import Any

import pytest

from mission_tracer._capture.capture import Capture

pandas = pytest.importorskip("pandas")
CAPTURE = Capture(strict=True)


def test_a_table_shows_shape_columns_and_first_rows() -> None:
    """A DataFrame shows what it is and three rows, its secret columns hidden."""
    made = CAPTURE.value(pandas.DataFrame({"a": range(1000), "password": ["hunter2"] * 1000}))
    assert made == {
        "type": "pandas.DataFrame" if made["type"] == "pandas.DataFrame" else "pandas.core.frame.DataFrame",
        "shape": [1000, 2],
        "columns": ["a", "password"],
        "head": [{"a": number, "password": "[redacted]"} for number in range(3)],
    }


def test_a_wide_table_shows_its_first_columns() -> None:
    """Of ten thousand columns twenty are shown, also when two have the same name."""
    made = CAPTURE.value(pandas.DataFrame([[1] * 10_000], columns=["x"] * 10_000))
    assert made["shape"] == [1, 10_000]
    assert made["head"] == [{"x": 1}]
    assert len(made["columns"]) == 20


@pytest.mark.parametrize(
    ("name", "head"), [("price", {"price": [1, 2]}), (None, {"head": [1, 2]}), ("token", {"token": "[redacted]"})]
)
def test_a_column_shows_its_first_values_unless_its_name_is_secret(name: Any, head: Any) -> None:
    """A Series shows dtype, length and head beside its name."""
    made = CAPTURE.value(pandas.Series([1, 2], name=name))
    assert made["head"] == head
    assert made["length"] == 2


def test_a_table_of_polars_is_shown_alike() -> None:
    """A polars DataFrame and Series show the same."""
    polars = pytest.importorskip("polars")
    made = CAPTURE.value(polars.DataFrame({"a": [1, 2, 3, 4], "password": ["x"] * 4}))
    assert made["shape"] == [4, 2]
    assert made["head"] == [{"a": number, "password": "[redacted]"} for number in (1, 2, 3)]
    assert CAPTURE.value(polars.Series("price", [1, 2]))["head"] == {"price": [1, 2]}
