"""Run another program as if we were not there: its signals, its exit status and its terminal stay its own.

The program is a child, so that whatever becomes of it is known, kill -9 too. It shares our process group, so that the
terminal reaches both; what is sent to us alone is handed on; when it stops, we stop; and we end as it ended.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from mission_tracer.cli._program.tail import Taps

_HELD = {
    signal.Signals[name]
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGTSTP", "SIGTTIN",
                 "SIGTTOU", "SIGCONT", "SIGWINCH", "SIGCHLD")
    if hasattr(signal, name)
}  # fmt: skip
_FROM_TERMINAL = {signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGHUP, signal.SIGWINCH, signal.SIGCONT}
_FROM_KERNEL = 0x80  # the `si_code` of a signal that no process sent
_PARENT_DIES = 1  # `prctl`: which signal to get when the parent dies
_CANNOT = 127


class Program:
    """A child that is ready to become a program.

    It is made before any thread exists, waits until `begin` gives it its environment, and dies with us.

    Args:
        words: The program and its arguments; the program's path, or a name on the PATH.
        taps: Take a copy of its output; `None`: its output is not ours to see.
    """

    def __init__(self, words: Sequence[str], taps: Taps | None = None) -> None:
        self._words = list(words)
        self.taps = taps
        self._prctl = _find_prctl()
        go_read, self._go = os.pipe()
        self._trouble, trouble_write = os.pipe()
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
        self._parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._become(go_read, trouble_write)
            finally:
                os._exit(_CANNOT)
        os.close(go_read)
        os.close(trouble_write)

    def _become(self, go: int, trouble: int) -> None:
        """Wait in the child for the environment, then become the program."""
        os.close(self._go)
        os.close(self._trouble)
        if self._prctl is not None:
            self._prctl(_PARENT_DIES, signal.SIGKILL)
        text = b""
        while more := os.read(go, 65536):
            text += more
        if not text or os.getppid() != self._parent:
            return
        if self.taps is not None:
            self.taps.connect()
        environ = json.loads(text)
        environ["MISSION_TRACER_PROGRAM"] = str(os.getpid())
        for name in ("SIGPIPE", "SIGXFSZ"):  # what the interpreter ignores for itself only
            if hasattr(signal, name):
                signal.signal(signal.Signals[name], signal.SIG_DFL)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C may wait already; it ends the program, not this code
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        try:
            os.execvpe(self._words[0], self._words, environ)  # noqa: S606 - the program that the user wrote
        except OSError as error:
            os.write(trouble, str(error.errno or 0).encode())

    def begin(self, environ: Mapping[str, str]) -> None:
        """Let the child become the program.

        Raises:
            OSError: There is no such program, or it cannot be run.
        """
        with os.fdopen(self._go, "wb") as go:
            go.write(json.dumps(dict(environ)).encode("utf-8", "surrogatepass"))
        if self.taps is not None:
            self.taps.open()
        with os.fdopen(self._trouble, "rb") as trouble:
            said = trouble.read()
        if said:
            os.waitpid(self.pid, 0)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            number = int(said)
            raise OSError(number, os.strerror(number), self._words[0])

    def give_up(self) -> None:
        """End the child before it became anything."""
        os.close(self._go)
        os.close(self._trouble)
        os.waitpid(self.pid, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def wait(self) -> int:
        """Wait for the program's end, as `os.waitpid` says it; hand on what is meant for it."""
        try:
            while True:
                status = self._look()
                if status is not None:
                    return status
                self._hand_on()
        finally:
            # What still waits to be handed on was meant for the program that is gone.
            while _wait_signal(0.0) is not None:
                pass
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            if self.taps is not None:
                self.taps.close()

    def _look(self) -> int | None:
        """Return how the program ended; `None` while it lives. Stops when it stops."""
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                return None
            if not os.WIFSTOPPED(status):
                return status
            os.kill(os.getpid(), signal.SIGSTOP)

    def _hand_on(self) -> None:
        found = _wait_signal(None)
        if found is None:
            return
        number, ours = found
        if number == signal.SIGWINCH and self.taps is not None:
            self.taps.resize()
        if ours and number != signal.SIGCHLD:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _wait_signal(timeout: float | None) -> tuple[int, bool] | None:
    """Wait for a signal: its number, and whether it was meant for us alone; `None`: none came."""
    if not hasattr(signal, "sigwaitinfo"):
        if timeout is not None:
            pending = signal.sigpending() & _HELD
            return (signal.sigwait(pending), False) if pending else None
        number = signal.sigwait(_HELD)
        return number, number not in _FROM_TERMINAL
    info = signal.sigwaitinfo(_HELD) if timeout is None else signal.sigtimedwait(_HELD, timeout)
    if info is None:
        return None
    return info.si_signo, info.si_code != _FROM_KERNEL


def _find_prctl() -> Callable[[int, int], int] | None:
    """Return the call that lets a child die with its parent; only Linux has it."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        prctl: Callable[[int, int], int] = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return None
    return prctl


def end_like(status: int) -> int:
    """End this process as another one ended; returns the exit status, where it ended by itself.

    Args:
        status: What `os.waitpid` said of it.
    """
    if not os.WIFSIGNALED(status):
        return os.waitstatus_to_exitcode(status)
    number = os.WTERMSIG(status)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.WCOREDUMP(status):
        _leave_no_core()
    if signal.Signals(number).name not in {"SIGKILL", "SIGSTOP"}:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


def _leave_no_core() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def in_words(status: int) -> str:
    """Say how a program ended, from what `os.waitpid` said."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"killed by {signal.Signals(number).name}"
        except ValueError:
            return f"killed by signal {number}"
    return f"exit status {os.waitstatus_to_exitcode(status)}"
