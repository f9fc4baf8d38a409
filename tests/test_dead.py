"""Refused facts: listed with the server's words, sent again or given up as their owner decides, and counted once."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import dead, facts, recorder
from mission_tracer._disk.books import count_files
from mission_tracer._disk.delivery_log import DeliveryLog, read_log
from mission_tracer._disk.directory import Directory, claim_dead
from mission_tracer._disk.journal import AppendFile, iterate_lines
from mission_tracer._planning import records
from mission_tracer._planning.lane_state import LaneState
from tests.faults import faulty
from tests.whole import OPERATIONS, wait_for

AT = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    directory = Directory(tmp_path / "runs of old")
    directory.prepare()
    return directory


def refuse(directory: Directory, key: str, refused: int = 2, *, delivered: int = 1, away: bool = False) -> None:
    """Make a run of which some facts were refused."""
    journal = AppendFile(directory.journal(key), create=True)
    for number in range(refused + delivered):
        journal.append(facts.encode(facts.RunPaused(id=f"w.{number}", at=AT)))
    journal.close()
    log = DeliveryLog(directory.log(key))
    assert log.try_open()
    for number, line in enumerate(iterate_lines(directory.journal(key))):
        if number < refused:
            said = records.Rejected(line.position, line.end, f"w.{number}", "too long", "missions.runs.pause", 422)
            log.note(said)
        else:
            log.note(records.Acknowledged(line.position, line.end))
    log.close()
    if away:
        directory.put_away(key)


def state(directory: Directory, key: str) -> LaneState:
    found = LaneState()
    place = directory.find(key)
    assert place is not None
    read_log(place[1], found)
    return found


def ids(directory: Directory) -> list[tuple[str, str]]:
    return [(each.key, each.fact) for each in dead.listing(directory)]


def test_what_was_refused_is_listed(directory: Directory) -> None:
    """Each refused fact is listed with the request, the status and the server's words, wherever its run is."""
    refuse(directory, "02", 1)
    refuse(directory, "01", 2, away=True)
    refuse(directory, "03", 0)
    assert ids(directory) == [("01", "w.0"), ("01", "w.1"), ("02", "w.0")]
    first = next(dead.listing(directory))
    assert (first.operation, first.status, first.reason, first.position) == ("missions.runs.pause", 422, "too long", 0)


def test_what_is_retried_is_refused_no_more(directory: Directory) -> None:
    """What is to be sent again is pending, its run is back where it is delivered, and it is listed no more."""
    refuse(directory, "01", 2, away=True)
    assert dead.retry(directory, key="01", fact="w.1") == 1
    assert ids(directory) == [("01", "w.0")]
    assert directory.keys() == ["01"]
    assert len(state(directory, "01").retries) == 1
    sums = count_files(directory.journal("01"), directory.log("01"))
    assert (sums.delivered, sums.rejected, sums.pending) == (1, 1, 1)
    assert dead.retry(directory, key="01", fact="w.1") == 0


def test_what_is_given_up_is_dropped(directory: Directory) -> None:
    """What its owner gives up is dropped, and neither pending nor refused."""
    refuse(directory, "01", 2)
    refuse(directory, "02", 1)
    assert dead.drop(directory) == 3
    assert ids(directory) == []
    sums = count_files(directory.journal("01"), directory.log("01"))
    assert (sums.delivered, sums.rejected, sums.dropped, sums.pending) == (1, 0, 2, 0)


def test_one_may_choose(directory: Directory) -> None:
    """A decision concerns the run and the fact that are named, else all; nothing matches: nothing happens."""
    for key in ("01", "02"):
        refuse(directory, key, 2)
    assert dead.drop(directory, key="03") == dead.drop(directory, fact="absent") == 0
    assert dead.drop(directory, fact="w.0") == 2
    assert dead.retry(directory, key="02") == 1
    assert ids(directory) == [("01", "w.1")]


def test_who_delivers_takes_it_in(directory: Directory) -> None:
    """A decision reaches whoever has the run's log open, beside what he writes there himself."""
    refuse(directory, "01", 2, delivered=0)
    log = DeliveryLog(directory.log("01"))
    assert log.try_open()
    dead.retry(directory, fact="w.0")
    log.note(records.MissionFound("m"))
    dead.drop(directory, fact="w.1")
    log.catch_up()
    assert (len(log.state.retries), len(log.state.given_up), log.state.mission_id) == (1, 1, "m")
    log.close()


DECIDE = """
import sys
from pathlib import Path
from mission_tracer import dead
from mission_tracer._disk.directory import Directory
print(dead.retry(Directory(Path(sys.argv[1]))))
"""


def put_away(directory: Directory, key: str) -> None:
    """Put a run away that nobody writes and nobody delivers, as a sender does."""
    log = DeliveryLog(directory.log(key))
    if not log.try_open():
        return
    with suppress(FileNotFoundError):
        journal = claim_dead(directory.journal(key))
        if journal is not None:
            with closing(journal):
                if journal.is_in_place() and log.is_in_place():
                    directory.put_away(key)
    log.close()
    directory.tidy_run(key)


def test_a_run_that_is_moved_meanwhile(directory: Directory) -> None:
    """A decision is not lost when the run is put away in the same moment."""
    for number in range(20):
        refuse(directory, f"{number:02}", 1, away=number % 2 == 0)
    with subprocess.Popen([sys.executable, "-c", DECIDE, str(directory.root)], stdout=-1, text=True) as process:
        while process.poll() is None:
            for key in directory.keys():  # noqa: SIM118 - no mapping
                put_away(directory, key)
        assert process.stdout is not None
        assert process.stdout.read() == "20\n"
    assert ids(directory) == []
    assert all(len(state(directory, f"{number:02}").retries) == 1 for number in range(20))


def test_a_damaged_log_is_left_out(directory: Directory) -> None:
    """Lines of a log that cannot be read hide no others; a log that is not there lists nothing."""
    refuse(directory, "01", 1)
    with directory.log("01").open("ab") as log:
        log.write(b"\0\0\n{}\ntorn")
    refuse(directory, "02", 1)
    directory.log("02").unlink()
    assert ids(directory) == [("01", "w.0")]


def test_the_books_balance_all_the_way(api: Any, tmp_path: Path) -> None:
    """A fact that is refused, sent again, refused again and given up counts once, at every moment."""

    def balance() -> tuple[int, int]:
        stats = mt.stats()
        assert stats.recorded == stats.delivered + stats.pending + stats.rejected + sum(stats.dropped.values())
        return stats.delivered, stats.rejected

    rule = {"kind": "422", "match": OPERATIONS["log an event"], "body": "arsenic"}
    with faulty(api.base_url) as proxy:
        mt.configure(api_key="KEY_of_the_test", base_url=proxy.base_url, dir=tmp_path / "choosy", log_level="off")
        proxy.change(rules=[rule])
        directory = recorder.default().directory
        assert directory is not None
        with mt.mission_run("Choosy") as run:
            run.log_event("arsenic")
            run.log_event("fine")
            assert mt.flush(20)
            assert balance() == (2, 1)
            log = directory.log(run.key)
            for times in (2, 3):
                assert dead.retry(directory) == 1
                balance()
                wait_for(lambda times=times: log.read_bytes().count(b'"rejected"') == times)
                assert mt.flush(20)
                assert balance() == (2, 1)
            proxy.change(rules=[])
            assert dead.retry(directory) == 1
            wait_for(lambda: balance() == (3, 0))
            proxy.change(rules=[rule])
            run.log_event("arsenic again")
            assert mt.flush(20)
            assert dead.drop(directory) == 1
            assert balance() == (3, 1)
        assert mt.flush(20)
        wait_for(lambda: not recorder.default().roster.keys())
        assert balance() == (4, 1)
        recorder.discard()
    events = [event.summary for event in api.only_run()["events"] if event.type == "custom"]
    assert sorted(events) == ["arsenic", "fine"]
