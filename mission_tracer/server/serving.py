"""Run the local server: in the foreground, or in a thread of this process."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import uvicorn

from mission_tracer.errors import ConfigurationError
from mission_tracer.server.app import create_app
from mission_tracer.server.store import Store

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    from starlette.types import ASGIApp

    from mission_tracer.server.behaviour import Behaviour

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 4010
MAX_PORT = 65535
STOP_SECONDS = 3  # for requests that are under way when the server is told to stop


class RunningServer(NamedTuple):
    """A server that answers.

    Args:
        base_url: what a client needs, ending in `/v2`.
        store: its state.
    """

    base_url: str
    store: Store

    @property
    def page_url(self) -> str:
        """The page to look at."""
        return self.base_url.removesuffix("v2")


def serve(
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    db: str | os.PathLike[str] | None = None,
    *,
    seed: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    admin: bool = False,
    behaviour: Behaviour | None = None,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve the Missions API until SIGINT or SIGTERM.

    Args:
        host: the address to listen on; anything but loopback lets other machines in.
        port: the port; 0 picks a free one.
        db: the database file; None keeps everything in memory.
        seed: what an empty database starts with, a mapping or the path of a JSON file.
        admin: add `/_local/reset` and `/_local/behaviour`.
        behaviour: answers to what the contract leaves open; None: the defaults.
        announce: called with the base URL once clients can connect; None: one line on standard output.

    Raises:
        ConfigurationError: the port, database or seed cannot be used; nothing was started.
    """
    with _listening(host, port) as listener, _opened(db) as store:
        app = create_app(store, behaviour=behaviour, seed=seed, admin=admin)
        (announce or _announce)(_base_url(listener))
        _Server(app).run(sockets=[listener])


@contextmanager
def running_server(
    *,
    host: str = DEFAULT_HOST,
    port: int = 0,
    db: str | os.PathLike[str] | None = None,
    seed: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    admin: bool = False,
    behaviour: Behaviour | None = None,
) -> Iterator[RunningServer]:
    """Serve the Missions API from a thread of this process while the block runs.

    Args:
        host: the address to listen on.
        port: the port; 0 picks a free one.
        db: the database file; None keeps everything in memory.
        seed: what an empty database starts with, a mapping or the path of a JSON file.
        admin: add `/_local/reset` and `/_local/behaviour`.
        behaviour: answers to what the contract leaves open; None: the defaults.

    Raises:
        ConfigurationError: the port, database or seed cannot be used.
    """
    with _listening(host, port) as listener, _opened(db) as store:
        app = create_app(store, behaviour=behaviour, seed=seed, admin=admin)
        running = RunningServer(_base_url(listener), store)
        server = _Server(app)
        thread = threading.Thread(target=server.run, args=([listener],), name="missions-server", daemon=True)
        thread.start()
        try:
            yield running
        finally:
            server.stop()
            thread.join()


class _Server(uvicorn.Server):
    """A uvicorn server that any thread can stop, and that takes a signal as a wish, not as a failure."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )

    def stop(self) -> None:
        """Stop serving; a server that has not started yet stops as soon as it has."""
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop on a signal, without raising it again afterwards as uvicorn does."""
        self.stop()


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """Hold a socket that clients can connect to from now on."""
    if not 0 <= port <= MAX_PORT:
        raise ConfigurationError(f"port {port} is not between 0 and {MAX_PORT}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Not socket.create_server(): it leaves the protocol 0, asyncio then does not switch off Nagle's algorithm
        # for the connections, and every answer after the first waits 40 ms for an acknowledgement.
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # UnicodeError: a host that is no name at all
        raise ConfigurationError(f"cannot listen on {host}: {error}") from error
    with listener:
        if sys.platform != "win32":  # there it would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen()
        except OSError as error:
            why = f"{error.strerror or error}; --port 0 picks a free one"
            raise ConfigurationError(f"cannot listen on {host} port {port}: {why}") from error
        yield listener


@contextmanager
def _opened(db: str | os.PathLike[str] | None) -> Iterator[Store]:
    store = Store(db)
    try:
        yield store
    finally:
        store.close()


def _base_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/v2" if ":" in host else f"http://{host}:{port}/v2"


def _announce(base_url: str) -> None:
    sys.stdout.write(f"Missions API on {base_url}\n")
    sys.stdout.flush()
