"""A program that records without end, from threads and child processes of several kinds, until it is killed.

python -m tests.chaos.program AUDIT SEED RUNS
"""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import mission_tracer as mt
from tests.chaos.audit import Scribe, open_audit

MISSIONS = 5
THREADS = 3
EVENTS = 12
PAUSE = 0.002  # seconds between two recording calls at most, so that a kill may hit any of them


class Program:
    """Record runs.

    Args:
        audit: The audit file.
        seed: What the program does is drawn from it.
    """

    def __init__(self, audit: Path, seed: int) -> None:
        self.path = audit
        self.seed = seed
        self.random = random.Random(f"{seed}.{os.getpid()}")
        self.audit = open_audit(audit)
        self.scribe = self.new_scribe("main")

    def new_scribe(self, thread: str) -> Scribe:
        return Scribe(self.audit, f"{self.seed}.{os.getpid()}.{time.monotonic_ns()}.{thread}")

    def breathe(self) -> None:
        time.sleep(self.random.random() * PAUSE)

    def record_run(self) -> None:
        """Record one run with everything there is."""
        name = f"mission {self.random.randrange(MISSIONS)}"
        with self.scribe.run(name, plan=["collect", "share", "never"]) as run:
            self.breathe()
            with self.scribe.step("collect") as step:
                self.record_in_threads(run, step)
            if self.random.random() < 0.3:
                run.pause()
                self.breathe()
                run.resume()
            for number in range(3):
                with self.scribe.step("call", fails=number == 1):
                    self.scribe.event(run)
                    self.breathe()
            with self.scribe.step("share"):
                self.random.choice((self.fork, self.fork_with_multiprocessing, self.start_subprocess))(run)

    def record_in_threads(self, run: mt.Run, step: mt.Step) -> None:
        def work(number: int) -> None:
            scribe = self.new_scribe(f"thread{number}")
            for _ in range(EVENTS):
                scribe.event(run, step)
                self.breathe()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def record_as_child(self, run: mt.Run) -> None:
        """Take part in a run from another process."""
        scribe = self.new_scribe("child")
        with scribe.step("work"):
            for _ in range(EVENTS):
                scribe.event(run)
                self.breathe()

    def fork(self, run: mt.Run) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                self.record_as_child(run)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)

    def fork_with_multiprocessing(self, run: mt.Run) -> None:
        child = multiprocessing.get_context("fork").Process(target=self.record_as_child, args=(run,))
        child.start()
        child.join()

    def start_subprocess(self, run: mt.Run) -> None:
        environ = dict(os.environ)
        mt.inject(environ)
        words = [sys.executable, "-m", "tests.chaos.program", str(self.path), str(self.seed), "join"]
        subprocess.run(words, env=environ, check=False)


def main(audit: str, seed: str, what: str) -> None:
    program = Program(Path(audit), int(seed))
    if what == "join":
        run = mt.current_run()
        assert run is not None
        program.record_as_child(run)
        return
    print("ready", flush=True)
    for _ in range(int(what)):
        program.record_run()


if __name__ == "__main__":
    main(*sys.argv[1:])
