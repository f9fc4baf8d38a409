"""Show a real run, from a decorated function to the API, without an account."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import httpx

import mission_tracer
from mission_tracer.cli._reading import lines, remote
from mission_tracer.cli._reading.picture import RunPicture
from mission_tracer.cli.command import command
from mission_tracer.cli.output import is_terminal
from mission_tracer.cli.surroundings import optional
from mission_tracer.client import MissionsClient

_GLANCE = 0.05
_PATIENCE = 60.0
_AGENT = "audit_environment.py"

Show = Callable[[RunPicture], object]


@command("mission-tracer demo")
def demo() -> int:
    """Show a real run: an agent, its plan, its steps and events. No account, no network.

    The agent audits the Python environment it runs in. It is an ordinary script with decorators, run as such; it
    sends to a Missions API that this command serves on this machine, and what you see is read back from there.
    Nothing is left behind.
    """
    optional("packaging", "demo")
    server = optional("mission_tracer.server.serving", "server")
    script = find_script()
    with server.running_server() as running, tempfile.TemporaryDirectory(prefix="mission-tracer-") as state:
        click.echo(f"a Missions API for this demo: {running.base_url}")
        click.echo(f"the agent:                    {_shortly(script)}\n")
        with _showing() as show:
            status, said = watch_script(script, running.base_url, Path(state), show)
    if status:
        click.echo(said, err=True)
        raise click.ClickException(f"the agent ended with status {status}")
    _say_what_next(script)
    return 0


def watch_script(script: Path, base_url: str, state: Path, show: Show) -> tuple[int, str]:
    """Run a script that records one run, and show the run as the API has it while it happens.

    Returns:
        The script's exit status, and what it wrote to standard error.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MISSION_TRACER_")}
    # The server is on this machine: no proxy knows the way to it.
    environ |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    environ |= {"TELNYX_API_KEY": "demo", "TELNYX_BASE_URL": base_url, "MISSION_TRACER_DIR": str(state)}
    with (
        httpx.Client(trust_env=False) as http,
        MissionsClient("demo", base_url, http_client=http) as client,
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603 - our own file, by this very interpreter
            [sys.executable, str(script)],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        ) as agent,
    ):
        deadline = time.monotonic() + _PATIENCE
        while True:
            # Looked at before the run is read: what is read afterwards is then the last of it.
            ended = agent.poll() is not None
            run = next(iter(remote.recent(client)), None)
            if run is not None:
                show(remote.picture(client, run.mission_id, run.run_id))
            if ended:
                break
            if time.monotonic() > deadline:
                agent.kill()
            time.sleep(_GLANCE)
        errors.seek(0)
        return agent.returncode, errors.read().decode(errors="replace").strip()


def find_script() -> Path:
    """Return the agent's file: inside the installed package, or among the examples of a checkout.

    Raises:
        click.ClickException: It is in neither place.
    """
    package = Path(mission_tracer.__file__).parent
    for place in (package / "demo" / _AGENT, package.parent / "examples" / _AGENT):
        if place.is_file():
            return place
    raise click.ClickException(f"{_AGENT} is not in this installation")


@contextmanager
def _showing() -> Iterator[Show]:
    """Show a run as a tree where there is a terminal, and as lines where there is none."""
    if is_terminal(sys.stdout):
        with optional("mission_tracer.cli._reading.tree", "cli").living() as show:
            yield show
        return
    news = lines.News()

    def show_lines(run: RunPicture) -> None:
        for line in news.of(run):
            click.echo(line)

    yield show_lines


def _say_what_next(script: Path) -> None:
    ours, python, agent = _command("mission-tracer"), _command("python"), _shortly(script)
    click.echo(
        f"""
Everything above came back from the API. What to do next:

  read the agent, an ordinary script with decorators:
      {agent}
  run it against a server that stays, and look at its page (two terminals):
      {ours} serve
      TELNYX_API_KEY=x TELNYX_BASE_URL=http://127.0.0.1:4010/v2 {python} {agent}
  run it at Telnyx:
      TELNYX_API_KEY=KEY... {python} {agent}
  track a script of yours, unchanged:
      {ours} run --step mypkg.work:fetch script.py
  see whether everything is set up:
      {ours} doctor"""
    )


def _command(name: str) -> str:
    """Return how a program of this environment is called from this shell: by its name, if that finds it."""
    place = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    return name if found is not None and (not place.exists() or place.samefile(found)) else _shortly(place)


def _shortly(path: Path) -> str:
    """Return a path as one would type it here."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
