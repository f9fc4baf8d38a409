"""Say what a table or a column of pandas or polars is: its shape, its columns and its first rows."""

from __future__ import annotations

from typing import Any

from mission_tracer._capture.plain import Fields, type_name

__all__ = ["frames"]

_ROWS = 3
_COLUMNS = 20
_VALUES = 5


def frames(value: Any) -> Fields:
    """Summarize a DataFrame or Series; only its first rows and columns are read."""
    kind = type_name(type(value))
    if kind.endswith("Series"):
        first = value.head(_VALUES)
        values = first.to_list()
        # The column's name is the name beside its values: a secret one hides them.
        name = str(value.name) if value.name is not None and value.name != "" else "head"
        return Fields(
            [("type", kind), ("dtype", str(value.dtype)), ("length", len(value)), ("head", Fields([(name, values)]))]
        )
    columns = list(value.columns[:_COLUMNS])
    first = value.head(_ROWS)
    rows = (
        first.iloc[:, :_COLUMNS].itertuples(index=False, name=None)
        if hasattr(first, "iloc")
        else first.select(columns).rows()
    )
    names = [str(column) for column in columns]
    return Fields(
        [
            ("type", kind),
            ("shape", list(value.shape)),
            ("columns", names),
            ("head", [dict(zip(names, row, strict=True)) for row in rows]),
        ]
    )
