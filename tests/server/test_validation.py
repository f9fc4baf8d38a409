"""Bodies and queries: decoded, or every fault named."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_tracer import models
from mission_tracer.server.answers import InvalidError
from mission_tracer.server.validation import decode, is_uuid, page_of
from tests import contract

REQUESTS = [name for name in contract.SCHEMAS if name.endswith("Request")]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("name", REQUESTS)
def test_what_the_contract_allows_is_decoded(name):
    """A request with all fields, and one with the required fields alone, are decoded, unknown fields or not."""
    kind = getattr(models, name)
    for optional in (True, False):
        sample = contract.sample(name, optional=optional)
        for forbid in (True, False):
            decoded = decode(msgspec.json.encode(sample), kind, forbid_unknown=forbid)
            assert msgspec.to_builtins(decoded) == sample
        assert decode(msgspec.json.encode({**sample, "new": 1}), kind) == decoded


@pytest.mark.parametrize("name", REQUESTS)
@given(data=st.data())
def test_one_wrong_field_is_one_fault_in_its_place(name, data):
    """A field with a value of another type is refused, and the fault says where; nothing else is ever raised."""
    kind = getattr(models, name)
    sample = contract.sample(name)
    field = data.draw(st.sampled_from(sorted(sample)))
    value = data.draw(JSON)
    body = msgspec.json.encode({**sample, field: value})
    decoded, faults = None, []
    try:
        decoded = decode(body, kind)
    except InvalidError as invalid:
        faults = invalid.faults
    assert (decoded is None) == bool(faults)
    assert [fault for fault in faults if fault.loc[:2] != ["body", field]] == []
    if decoded is not None and field != "steps":
        assert msgspec.to_builtins(decoded)[field] == value


def test_pages_have_defaults():
    """A query that says nothing asks for the first page of the default size."""
    assert page_of({}, default_size=20) == (1, 20)
    assert page_of({"page[number]": "007", "page[size]": "1000"}, default_size=20) == (7, 1000)


@pytest.mark.parametrize("text", ["", "x", "182bd5e5-6e1a-4fe4-a799", "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26eé"])
def test_what_is_no_uuid(text):
    """Any text can be asked whether it is a UUID."""
    assert not is_uuid(text)
    assert is_uuid("182BD5E5-6e1a-4fe4-a799-aa6d9a6ab26e")
