"""The delivery log: what was noted is known again, whatever the disk took of it, by whoever delivers next."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mission_tracer import facts
from mission_tracer._disk.delivery_log import DeliveryLog, LogFollower, read_log
from mission_tracer._planning import records
from mission_tracer._planning.lane_state import LaneState
from mission_tracer._planning.records import (
    Acknowledged,
    Dropped,
    Finished,
    Intended,
    MissionFound,
    MissionLost,
    Parked,
    Rejected,
    Retried,
    RunBound,
    StepRefused,
    StepRenamed,
    StepsDeclared,
    Unparked,
    Unsent,
)
from tests.disks import before_locking, file_size_limit

COUNT = 12  # facts of ten bytes each
PLACES = st.integers(0, COUNT - 1).map(lambda number: (10 * number, 10 * number + 10))
INTENTS = st.sampled_from(["create_mission", "create_run", "declare_steps"])
STEPS = st.sampled_from(["a", "b"])
SETTLED = st.one_of(
    PLACES.map(lambda at: Acknowledged(*at)),
    PLACES.map(lambda at: Acknowledged(*at)),
    PLACES.map(lambda at: Rejected(*at, fact="w.1", reason="no")),
)
LEARNED = st.one_of(
    st.builds(Intended, INTENTS, st.floats(0, 1e10)),
    st.builds(Unsent, INTENTS),
    st.builds(MissionFound, st.just("m")),
    st.builds(MissionLost),
    st.builds(RunBound, st.just("r")),
    st.builds(StepsDeclared, st.dictionaries(STEPS, st.integers(1, 9), max_size=2)),
    st.builds(StepRefused, STEPS),
    st.builds(StepRenamed, STEPS, st.just("c")),
    st.builds(Parked, st.just("why")),
    st.builds(Unparked),
    st.builds(Finished),
)
RECORDS = st.lists(st.one_of(SETTLED, SETTLED, LEARNED), max_size=20)


def folded(noted: list[Any]) -> LaneState:
    state = LaneState()
    for record in noted:
        state.apply(record)
    return state


def known(state: LaneState) -> dict[str, Any]:
    """Say what delivery knows of a run by a state: every field, and of each fact whether it needs anything more."""
    others = {"file", "is_at_rest", "memory", "shaky"}
    return {
        **{name: getattr(state, name) for name in LaneState.__slots__ if name not in others},
        "done": [number for number in range(COUNT) if state.is_done(10 * number)],
        "cursor": state.cursor,
    }


def reread(path: Path) -> LaneState:
    state = LaneState()
    read_log(path, state)
    return state


def opened(path: Path) -> DeliveryLog:
    log = DeliveryLog(path)
    assert log.try_open()
    return log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


@settings(max_examples=150, deadline=None)
@given(first=RECORDS, cut=st.integers(0, 3000), then=RECORDS)
def test_any_prefix_goes_on(first: list[Any], cut: int, then: list[Any]) -> None:
    """A log cut off at any byte folds into what its whole lines say, and goes on from there."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "log"
        log = opened(path)
        for record in first:
            log.note(record)
        log.close()
        assert known(log.state) == known(folded(first))
        content = path.read_bytes()[:cut]
        path.write_bytes(content)
        whole = first[: content.count(b"\n")]
        successor = opened(path)
        assert known(successor.state) == known(folded(whole))
        for record in then:
            successor.note(record)
        successor.close()
        assert known(successor.state) == known(reread(path)) == known(folded([*whole, *then]))


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(st.tuples(RECORDS, st.one_of(st.none(), st.integers(0, 200))), min_size=1, max_size=5))
def test_what_a_full_disk_refused_follows(parts: list[tuple[list[Any], int | None]]) -> None:
    """What the disk did not take is in the log as soon as it takes something again, as if it had always done so."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "log"
        log = opened(path)
        for records, room in parts:
            if room is None:
                for record in records:
                    log.note(record)
            else:
                with file_size_limit(path.stat().st_size + room):
                    for record in records:
                        log.note(record)
        log.catch_up()
        assert not log.is_behind
        assert known(reread(path)) == known(log.state) == known(folded([r for records, _ in parts for r in records]))
        assert log.state.is_at_rest or not reread(path).is_at_rest
        log.close()


def test_a_disk_that_is_nearly_full_loses_no_acknowledgement(path: Path) -> None:
    """What is written down again after only a part of it was taken is known as a whole."""
    for room in range(200):
        path.unlink(missing_ok=True)
        log = opened(path)
        with file_size_limit(0):
            for number in (0, 1, 2, 4):
                log.note(Acknowledged(10 * number, 10 * number + 10))
        with file_size_limit(room):
            log.note(Acknowledged(30, 40))
        log.catch_up()
        assert (reread(path).cursor, log.state.cursor) == (50, 50)
        log.close()


def test_a_full_disk_is_told_and_bounded(path: Path) -> None:
    """Acknowledgements that the disk does not take become one record, however many there are."""
    told: list[OSError] = []
    log = DeliveryLog(path, on_trouble=told.append)
    assert log.try_open()
    log.note(RunBound("r"))
    with file_size_limit(path.stat().st_size):
        for number in range(1000):
            log.note(Acknowledged(10 * number, 10 * number + 10))
        assert log.is_behind
        assert told
    size = path.stat().st_size
    log.note(Acknowledged(10_000, 10_010))
    assert path.stat().st_size - size < 200
    assert reread(path).cursor == 10_010
    log.close()


def test_a_log_that_is_abandoned_is_left_as_it_is(path: Path) -> None:
    """What the disk did not take is its parent's to write down, not a forked child's."""
    log = opened(path)
    with file_size_limit(0):
        log.note(RunBound("r"))
    log.abandon()
    assert path.read_bytes() == b""
    assert opened(path).state.run_id is None


def test_what_follows_a_torn_record_is_known(path: Path) -> None:
    """A record that was cut off on a full disk takes none of its neighbours along."""
    log = opened(path)
    log.note(RunBound("r"))
    size = path.stat().st_size
    for room in range(1, 60):
        with file_size_limit(size + room):
            log.note(Acknowledged(0, 10))
    log.note(Acknowledged(10, 20))
    log.close()
    assert reread(path).cursor == 20


def test_one_delivers_at_a_time(path: Path) -> None:
    """Whoever has opened a log delivers the run: nobody else gets it until it is closed, or its process is dead."""
    code = (
        "import sys; from pathlib import Path; from mission_tracer._disk.delivery_log import DeliveryLog\n"
        "log = DeliveryLog(Path(sys.argv[1])); print(log.try_open(), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert not DeliveryLog(path).try_open()
        other.kill()
        other.wait()
        log = opened(path)
        assert log.has_file
        log.close()


def test_a_clean_end_is_known(path: Path) -> None:
    """Who takes a log over knows whether the one before may have left something under way, and since when."""
    log = opened(path)
    assert log.predecessor_at is None
    log.note(Intended("create_run", 1.0))
    log.close()
    second = opened(path)
    assert second.predecessor_at == path.stat().st_mtime
    second.close(clean=True)
    third = opened(path)
    assert third.predecessor_at is None
    third.close(clean=True)
    assert path.read_bytes().count(b"released") == 1


def test_a_finished_run_is_at_rest(path: Path) -> None:
    """Who noted that a run is finished, and who takes its log over, knows that nothing is under way."""
    log = opened(path)
    rests = [log.seems_at_rest]
    for record in (Intended("create_run", 1.0), Finished()):
        log.note(record)
        rests.append(log.seems_at_rest)
    assert rests == [True, False, True]
    log.close(clean=True)
    assert b"released" not in path.read_bytes()
    second = opened(path)
    assert (second.predecessor_at, second.seems_at_rest) == (None, True)
    second.close()


def test_a_log_that_lacks_something_does_not_end_clean(path: Path) -> None:
    """When the disk takes something again only after what is missing was refused, nobody is told of a clean end."""
    full = ExitStack()
    log = DeliveryLog(path, on_trouble=lambda _: full.close())
    assert log.try_open()
    log.note(RunBound("r"))
    full.enter_context(file_size_limit(path.stat().st_size))
    log.note(Parked("why"))
    full.enter_context(file_size_limit(path.stat().st_size))
    log.close(clean=True)
    assert reread(path).parked is None
    second = opened(path)
    assert second.predecessor_at is not None
    second.close()


def test_a_log_that_is_put_away_while_it_is_opened_is_not_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who opened a log that another file has taken the name of before he got its lock does not deliver by it."""
    log = DeliveryLog(path)

    def replaced() -> None:
        path.rename(path.with_suffix(".away"))
        path.touch()

    with before_locking(monkeypatch, replaced):
        assert not log.try_open()
    assert not log.has_file
    assert log.try_open()
    log.close()


def test_only_what_others_wrote_makes_a_log_grow(path: Path) -> None:
    """A log has grown when others appended to it, until that is taken in; what its holder notes is no news to him."""
    log = opened(path)
    log.note(RunBound("r"))
    assert not log.has_grown()
    with path.open("ab") as outside:
        outside.write(records.encode(Retried(0)) + b"\n")
    assert log.has_grown()
    log.catch_up()
    log.note(Acknowledged(0, 10))
    assert not log.has_grown()
    log.close()


def test_the_owners_decisions_are_taken_in(path: Path) -> None:
    """What is appended from outside about refused facts is known at the next look, once, beside our own records."""
    log = opened(path)
    log.note(Rejected(0, 10, fact="w.1", reason="no"))
    log.note(Rejected(10, 20, fact="w.2", reason="no"))
    with path.open("ab") as outside:
        outside.write(records.encode(Retried(0)) + b"\n" + records.encode(Dropped(10)) + b"\n")
    log.note(Acknowledged(20, 30))
    log.catch_up()
    assert (log.state.retries, log.state.given_up) == ({0}, {10})
    log.note(Rejected(0, 10, fact="w.1", reason="no again"))
    log.catch_up()
    assert (log.state.retries, log.state.rejected) == (set(), {0})
    log.close()


def test_facts_in_memory_are_nobody_elses(path: Path) -> None:
    """What became of a fact that is held in memory is not written down: another process could not know it again."""
    log = opened(path)
    log.note(Acknowledged(facts.MEMORY, facts.MEMORY + 1))
    assert path.read_bytes() == b""
    assert log.state.memory.cursor == facts.MEMORY + 1
    log.close()


def test_a_log_without_a_file(tmp_path: Path) -> None:
    """Without a path a log only remembers."""
    log = DeliveryLog(None)
    assert log.try_open()
    log.note(RunBound("r"))
    assert log.state.run_id == "r"
    assert not log.has_file
    log.catch_up()
    log.close(clean=True)
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_was_replaced_is_not_in_place(path: Path) -> None:
    """Who holds a log that another file has taken the name of can see it."""
    log = opened(path)
    assert log.is_in_place()
    path.rename(path.with_suffix(".away"))
    assert not log.is_in_place()
    log.close()


def test_a_follower_sees_how_far_it_is(path: Path) -> None:
    """A follower reads on as the log grows: the cursor, what is retried, and why nothing goes on."""
    log = opened(path)
    follower = LogFollower(path)
    assert follower.cursor() == 0
    log.note(Acknowledged(0, 10))
    log.note(Rejected(10, 20, fact="w.1", reason="no"))
    assert follower.cursor() == 20
    log.note(Retried(10))
    log.note(Parked("no such run"))
    assert (follower.cursor(), follower.retries, follower.parked) == (20, {10}, "no such run")
    log.close()


def test_a_follower_of_nothing(path: Path) -> None:
    """A log that does not exist cannot be followed yet; once it does it can."""
    follower = LogFollower(path)
    with pytest.raises(FileNotFoundError):
        follower.cursor()
    opened(path).close()
    assert follower.cursor() == 0
