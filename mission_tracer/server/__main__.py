"""Run the local Missions server: `python -m mission_tracer.server --help`."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING

from mission_tracer.errors import ConfigurationError
from mission_tracer.server.behaviour import parse

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit status.

    Args:
        arguments: the words of the command line; None: this process's own.
    """
    try:
        serving = importlib.import_module("mission_tracer.server.serving")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "mission_tracer":
            raise
        sys.stderr.write(f"error: the server needs {missing}: pip install 'mission-tracer[server]'\n")
        return 2
    parser = argparse.ArgumentParser(
        prog="python -m mission_tracer.server", description="Serve a local stand-in for the Missions API."
    )
    parser.add_argument("--host", default=serving.DEFAULT_HOST, help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=serving.DEFAULT_PORT, help="0 picks a free one (default: %(default)s)"
    )
    parser.add_argument("--db", metavar="FILE", help="keep the state in this file (default: in memory)")
    parser.add_argument("--seed", metavar="FILE", help="JSON that an empty database starts with")
    parser.add_argument("--admin", action="store_true", help="add /_local/reset and /_local/behaviour")
    parser.add_argument(
        "--behaviour",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="answer one of the contract's open questions differently; may be repeated",
    )
    given = parser.parse_args(arguments)
    try:
        serving.serve(
            given.host,
            given.port,
            given.db,
            seed=given.seed,
            admin=given.admin,
            behaviour=parse(given.behaviour),
        )
    except ConfigurationError as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
