"""The wire to the server: opened when it is needed, and again and again when it cannot be."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import recorder
from mission_tracer._base.notices import Notices
from mission_tracer._planning.actions import Call, Unsent
from mission_tracer._sending.sender import Sender
from mission_tracer._sending.sender_wire import Wire
from tests.conftest import Api
from tests.processes import environment, fork_waits, run, served
from tests.sending.test_lane import Bench
from tests.sending.test_sender import OneLane
from tests.whole import wait_for

CALL = Call("missions.retrieve", {"mission_id": "m1"})


class Unopened:
    """Count how often a transport is asked for that cannot be made."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> Any:
        self.asked += 1
        raise ImportError("no such proxy")


def test_a_wire_that_cannot_be_opened_is_a_server_out_of_reach() -> None:
    """Nothing was sent, and the reason is said; the next request tries to open it again."""
    unopened = Unopened()
    wire = Wire(unopened, monotonic=time.monotonic)
    for attempt in (1, 2):
        assert wire.exchange(CALL) == Unsent("ImportError: no such proxy")
        assert unopened.asked == attempt
    assert (wire.is_opening, wire.opened_at) == (False, 0.0)
    wire.tidy()
    wire.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_forks_wait_while_it_is_opened() -> None:
    """A child that was forked while OpenSSL's locks are taken could never open a wire of its own."""

    def opens(middle: Callable[[], object]) -> None:
        def transport() -> Any:
            middle()
            raise ImportError("no such proxy")

        Wire(transport, monotonic=time.monotonic).exchange(CALL)

    assert fork_waits(opens)


def test_its_thread_imports_nothing(tmp_path: Path) -> None:
    """What delivery needs is imported before its thread begins: a fork in the middle would leave a child half of it."""
    code = """
import sys, threading
import mission_tracer as mt

class Finder:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is not threading.main_thread():
            print(name)

sys.meta_path.insert(0, Finder())
with mt.mission_run("Whole", plan=["a"]), mt.plan_step("a"):
    mt.log_event("an event")
assert mt.flush(30)
"""
    with served() as base_url:
        done = run([sys.executable, "-c", code], environment(tmp_path, TELNYX_API_KEY="KEY1", TELNYX_BASE_URL=base_url))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nobody_tries_again_at_once(tmp_path: Path) -> None:
    """A wire that cannot be opened makes everyone wait, longer each time, for all facts together."""
    bench = Bench(tmp_path)
    bench.event("a", "b", "c")
    unopened, now, steps = Unopened(), [100.0], iter(range(40))

    def is_over() -> bool:
        now[0] += 0.1
        return next(steps, None) is None

    sender = Sender(
        OneLane(bench.lane),
        unopened,
        Notices("off"),
        max_backoff=60.0,
        advice="",
        monotonic=lambda: now[0],
        draw=lambda: 1.0,
    )
    sender.work_until(is_over, left=lambda: 1.0)
    assert 3 <= unopened.asked <= 5, "after 0.2 seconds, 0.4, 0.8 and 1.6"
    sender.stop(1.0)
    bench.lane.abandon()
    bench.file.close()


def test_what_waited_for_the_wire_is_delivered_when_it_can_be_opened(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With certificates that are not there nothing is sent, which is said once; when they are there all arrives."""
    monkeypatch.setenv("SSL_CERT_FILE", "/absent/certificates.pem")
    mt.configure(api_key="KEY_of_the_test", base_url=api.base_url, strict=True)
    with mt.mission_run("m"):
        mt.log_event("a")
    assert not mt.flush(0.5)
    monkeypatch.delenv("SSL_CERT_FILE")
    assert mt.flush(20)
    assert [event.summary for event in api.only_run()["events"]] == ["a"]
    [said] = capsys.readouterr().err.splitlines()
    assert "cannot take this now" in said
    assert "FileNotFoundError" in said


def test_an_idle_sender_keeps_no_connection(api: Api) -> None:
    """When nothing was sent for long, what was open for it is closed."""
    with mt.mission_run("m"):
        assert mt.flush(20)
        transport: Any = recorder.default().sender.wire._transport
        assert len(transport._idle) == 1
        wait_for(lambda: not transport._idle)
