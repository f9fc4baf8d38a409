"""The delivery log's lines: what is written today is read by later versions, and by earlier ones as far as they can."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from mission_tracer._planning import records as r

LINES = {
    '{"did":"intend","intent":"create_run","at":1.5}': r.Intended("create_run", 1.5),
    '{"did":"unsent","intent":"create_run"}': r.Unsent("create_run"),
    '{"did":"mission","mission_id":"m"}': r.MissionFound("m"),
    '{"did":"mission_lost"}': r.MissionLost(),
    '{"did":"run","run_id":"r"}': r.RunBound("r"),
    '{"did":"steps","steps":{"a":1}}': r.StepsDeclared({"a": 1}),
    '{"did":"step_refused","step_id":"a"}': r.StepRefused("a"),
    '{"did":"step_renamed","step_id":"a","sent_as":"b"}': r.StepRenamed("a", "b"),
    '{"did":"ack","position":0,"end":9}': r.Acknowledged(0, 9),
    '{"did":"rejected","position":0,"end":9,"fact":"w.1","reason":"no"}': r.Rejected(0, 9, "w.1", "no"),
    '{"did":"retried","position":0}': r.Retried(0),
    '{"did":"dropped","position":0}': r.Dropped(0),
    '{"did":"parked","reason":"no"}': r.Parked("no"),
    '{"did":"unparked"}': r.Unparked(),
    '{"did":"taken"}': r.Taken(),
    '{"did":"released"}': r.Released(),
    '{"did":"finished"}': r.Finished(),
}
"""What is on disks by now, and will be for ever."""


@pytest.mark.parametrize(("line", "record"), LINES.items())
def test_a_line_stays_what_it_is(line: str, record: Any) -> None:
    """Each record is written as one line in the form it always had, and that line is read as the record."""
    assert r.encode(record).decode() == line
    assert r.decode(line) == record


def test_every_kind_of_record_has_its_line() -> None:
    """No kind is forgotten above, and no two share a name."""
    assert {type(record) for record in LINES.values()} == set(get_args(r.Record))


def test_a_line_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    """A field that is not known is passed over; a kind that is not known, and damage, is an error."""
    assert r.decode('{"did":"ack","position":0,"end":9,"more":1}') == r.Acknowledged(0, 9)
    for line in ('{"did":"later"}', '{"did":"ack","position":0}', "{", "\0"):
        with pytest.raises(msgspec.MsgspecError):
            r.decode(line)


def test_a_record_with_a_line_end_in_it_is_one_line() -> None:
    """Whatever the server says stays on one line."""
    assert b"\n" not in r.encode(r.Rejected(0, 9, "w.1", "no\nway\r\n"))
