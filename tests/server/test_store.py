"""The store: one file, one transaction per request, any number of threads and processes."""

import os
import sqlite3
import threading

import pytest

from mission_tracer.errors import ConfigurationError
from mission_tracer.server import Store

from .driver import api, data, new_run, steps


def test_what_was_stored_is_there_after_a_restart(tmp_path):
    """A store on a file has everything again when it is opened the next time."""
    path = tmp_path / "missions.db"
    store = Store(path)
    with api(store=store) as client:
        run = new_run(client)
        data(client.post(f"{run}/plan", json=steps("a")), 201)
    store.close()
    again = Store(os.fspath(path))
    with api(store=again) as client:
        assert data(client.get(f"{run}/plan"))[0]["step_id"] == "a"
        assert client.post(f"{run}/plan", json=steps("a")).status_code == 409
    again.close()


def test_a_store_answers_as_the_apis_types():
    """Missions, runs, steps, events and agents can be read as the package's own types, of one run or of all."""
    store = Store()
    with api(store=store) as client:
        run, other = new_run(client), new_run(client)
        for path in (run, other):
            data(client.post(f"{path}/plan", json=steps("a")), 201)
            data(client.post(f"{path}/events", json={"type": "custom", "summary": path}), 201)
            data(client.post(f"{path}/telnyx-agents", json={"telnyx_agent_id": "x"}), 201)
    (_, _, _, mission_id, _, run_id) = run.split("/")
    assert [mission.name for mission in store.missions()] == ["Find window washers"] * 2
    assert [one.run_id for one in store.runs(mission_id)] == [run_id]
    assert len(store.runs()) == len(store.steps()) == len(store.events()) == len(store.agents()) == 2
    assert [step.step_id for step in store.steps(run_id)] == ["a"]
    assert [event.summary for event in store.events(run_id)] == [run]
    assert [agent.run_id for agent in store.agents(run_id)] == [run_id]
    store.close()


def test_a_transaction_is_all_or_nothing():
    """What an exception leaves behind is nothing."""
    store = Store()
    with store.transaction():
        store.insert("missions", b"{}", mission_id="a")

    def rename_and_repeat():
        with store.transaction():
            store.replace("missions", b"[]", {"mission_id": "a"})
            store.insert("missions", b"{}", mission_id="a")

    with pytest.raises(sqlite3.IntegrityError):
        rename_and_repeat()
    with store.transaction(write=False):
        assert store.select("missions") == [b"{}"]
    store.close()


def test_threads_take_turns(tmp_path):
    """Transactions of several threads do not mix, and of several connections to one file neither."""
    stores = [Store(tmp_path / "db") for _ in range(2)]
    with stores[0].transaction():
        stores[0].insert("missions", b"0", mission_id="m")

    def count(store):
        for _ in range(50):
            with store.transaction():
                number = int(store.fetch("missions", mission_id="m"))
                store.replace("missions", b"%d" % (number + 1), {"mission_id": "m"})

    threads = [threading.Thread(target=count, args=(store,)) for store in stores for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with stores[0].transaction(write=False):
        assert stores[0].fetch("missions", mission_id="m") == b"200"
    for store in stores:
        store.close()


def test_version_moves_with_every_change(tmp_path):
    """The version changes when this or another connection writes, and only then."""
    store, other = Store(tmp_path / "db"), Store(tmp_path / "db")
    seen = [store.version()]
    assert store.version() == seen[0]
    for number, writer in enumerate((store, other)):
        with writer.transaction():
            writer.insert("missions", b"{}", mission_id=str(number))
        seen.append(store.version())
    assert len(set(seen)) == 3
    store.close()
    other.close()


def test_what_is_no_database_of_ours_is_refused_and_untouched(tmp_path):
    """A file that is no database, another program's, one of a later layout, or a directory, is refused by name."""
    broken = tmp_path / "broken"
    broken.write_bytes(b"this is no database, and longer than a header of one hundred bytes" * 5)
    foreign = tmp_path / "foreign"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    later = tmp_path / "later"
    Store(later).close()
    with sqlite3.connect(later) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    for path in (broken, foreign, later, tmp_path, tmp_path / "absent" / "db"):
        before = path.read_bytes() if path.is_file() else None
        with pytest.raises(ConfigurationError, match=path.name):
            Store(path)
        assert (path.read_bytes() if path.is_file() else None) == before


def test_close_may_be_repeated():
    """Closing twice is closing once."""
    store = Store()
    store.close()
    store.close()
