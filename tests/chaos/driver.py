"""Start programs, kill them, start others, and at the end deliver in peace and judge."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.audit import read_audit
from tests.chaos.verdict import Verdict, judge
from tests.faults import MIXED, FaultyProxy, faulty

ROOT = Path(__file__).parents[2]
RUNS = 12  # a program that is not killed in time records so many
FACTS = 600  # a program is killed when it has recorded so many facts at most
LINE = 110  # bytes; about the length of one note in the audit
BRIEF = 1.6  # seconds that a process lives at most that only delivers
LONGEST = 60.0  # seconds after which any process is killed
SETTINGS = {
    "TELNYX_API_KEY": "KEY_of_the_chaos",
    "MISSION_TRACER_SETTLE": "0.6",
    "MISSION_TRACER_MAX_BACKOFF": "0.3",
    "MISSION_TRACER_REQUEST_TIMEOUT": "1.5",
    "MISSION_TRACER_FLUSH_STALL": "1",
    "MISSION_TRACER_FLUSH_TIMEOUT": "3",
    "MISSION_TRACER_LOG_LEVEL": "off",
    "PYTHONDONTWRITEBYTECODE": "1",
}
WAYS = ("program", "program", "family", "family", "deliverer", "deliverer after the effect", "program after the effect")
"""Who is killed: a program alone, a program with its children, or a process that only delivers; when: at any instant,
or when the server has done what was asked and its answer is on the way."""


@dataclass
class Chaos:
    """One session: a server, a proxy, a state directory, and an audit file for each program.

    Args:
        place: Where all files go.
        seed: What everything is drawn from.
        kills: How many processes are killed.
        rates: The faults that the requests meet.
        at_once: How many programs live at the same time.
    """

    place: Path
    seed: int = 0
    kills: int = 30
    rates: dict[str, float] = field(default_factory=lambda: dict(MIXED))
    at_once: int = 3
    killed: Counter[str] = field(default_factory=Counter)

    @property
    def audits(self) -> Path:
        return self.place / "audits"

    def run(self) -> Verdict:
        """Kill, deliver what is left without faults, and judge."""
        self.audits.mkdir(parents=True, exist_ok=True)
        database = self.place / "server.db"
        with served(database) as upstream, faulty(upstream, seed=self.seed, rates=self.rates) as proxy:
            environ = self._environ(proxy.base_url)
            with ThreadPoolExecutor(self.at_once) as pool:
                for done in [pool.submit(self._round, number, proxy, environ) for number in range(self.kills)]:
                    done.result()
            proxy.change(rates={}, script=[])
            left = self._deliver(environ)
        verdict = judge([note for path in self.audits.iterdir() for note in read_audit(path)], database)
        verdict.open += [f"run {key} is not delivered" for key in left]
        return verdict

    def _environ(self, base_url: str) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("TELNYX_", "MISSION_TRACER_"))}
        state = {"MISSION_TRACER_DIR": str(self.place / "state"), "TELNYX_BASE_URL": base_url}
        return {**kept, **SETTINGS, **state}

    def _round(self, number: int, proxy: FaultyProxy, environ: dict[str, str]) -> None:
        """Start one process and kill it."""
        chance = random.Random(f"{self.seed}.{number}")
        way = chance.choice(WAYS)
        audit = self.audits / f"{number}.jsonl"
        words = ["deliver"] if "deliverer" in way else ["program", str(audit), str(number), str(RUNS)]
        with started(words, environ) as process:
            if "after" in way:
                operation = chance.choice(
                    ("POST .*/missions$", "POST .*/runs$", "POST .*/plan", "POST .*/events", "PATCH")
                )
                proxy.change(script=[{"kind": "kill_after", "match": operation, "pid": process.pid}])
            if "deliverer" in way:
                _await(process, seconds=BRIEF if "after" in way else chance.random() * BRIEF)
            else:
                _await(process, audit, size=chance.randrange(FACTS * LINE))
            if way == "family":
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            self.killed[way if process.wait() == -signal.SIGKILL else "ended before"] += 1

    def _deliver(self, environ: dict[str, str]) -> list[str]:
        words = [sys.executable, "-m", "tests.chaos.deliver", "60"]
        done = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        if done.returncode not in {0, 1}:
            raise RuntimeError(done.stderr)
        return done.stdout.split()[1:]


@contextmanager
def served(database: Path) -> Iterator[str]:
    """Run the local server as a process of its own; yields its base URL."""
    words = ["-m", "mission_tracer.server", "--port", "0", "--db", str(database), "--behaviour", "status_event=write"]
    with subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+/v2", process.stdout.readline())
            assert found is not None, "the server did not start"
            yield found[0]
        finally:
            process.terminate()


@contextmanager
def started(words: Sequence[str], environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Start one of our programs in a process group of its own; at the end nobody of the group is left."""
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", f"tests.chaos.{words[0]}", *words[1:]],
                cwd=ROOT,
                env=environ,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()
            process.wait()
            _await_group(process.pid)


def _await(
    process: subprocess.Popen[str], audit: Path | None = None, *, size: int = 0, seconds: float = LONGEST
) -> None:
    """Let a process live for some time, or until it has recorded so much; it may end by itself."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if audit is not None and audit.exists() and audit.stat().st_size >= size:
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(min(0.01, max(0.0, deadline - time.monotonic())))
            return


def _await_group(group: int, seconds: float = 8.0) -> None:
    """Let the children of a killed program end by themselves; kill those that do not."""
    deadline = time.monotonic() + seconds
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.02)
        os.killpg(group, signal.SIGKILL)
