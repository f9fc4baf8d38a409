"""Run the command line: `mission-tracer`, or `python -m mission_tracer`."""

from __future__ import annotations

import gc
import importlib
import io
import os
import signal
import sys
from pathlib import Path

_IN_A_RUN = {"step", "event", "tool", "plan", "agent", "succeed", "fail"}
_INTERRUPTED = 130


def main() -> int:
    """Run one command with the words of this process; return its exit status.

    The commands that a script calls many times inside a run are read without click, which takes longer to import than
    they take to do, and leave without taking the interpreter apart; what that quick reading does not understand, click
    explains.
    """
    try:
        return _main()
    except KeyboardInterrupt:
        # Whoever waits for us is to see that it was Ctrl-C: a shell ends its script then.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        return _INTERRUPTED


def _main() -> int:
    _prepare_streams()
    words = sys.argv[1:]
    if words and words[0] in _IN_A_RUN:
        gc.disable()
        status: int | None = importlib.import_module("mission_tracer.cli._inside.shell").quickly(words)
        if status is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        gc.enable()
    try:
        app = importlib.import_module("mission_tracer.cli.app")
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.stderr.write(f"error: the command line needs {error.name}: pip install 'mission-tracer[cli]'\n")
        return 2
    return int(app.main(words))


def _prepare_streams() -> None:
    """Have three standard streams that take every text.

    Where one was closed there is nothing: no file of ours is to get its number. What the encoding of the output does
    not have is written as an escape, as on standard error.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - open as long as the process
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
