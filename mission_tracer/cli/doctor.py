"""Examine what recording and delivery need, and name the mend for what is wrong."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import httpx
import msgspec

from mission_tracer._base.locks import LockFile
from mission_tracer._context import silence
from mission_tracer._version import VERSION
from mission_tracer.cli._inside.pen import ENCLOSED, PARENT
from mission_tracer.cli._inside.place import directory, readable
from mission_tracer.cli._reading.journals import all_books
from mission_tracer.cli.command import DAY, Seconds, command
from mission_tracer.cli.output import clip, coloured, json_option, plural, print_json
from mission_tracer.errors import ConfigurationError, explain
from mission_tracer.settings import Settings, variable, why_offline

_MIB = 1024 * 1024
_LITTLE_SPACE = 100 * _MIB
_NO_SPACE = _MIB
_SKEW = 60.0
_LIBRARIES = ("httpx", "wrapt", "msgspec", "structlog", "contextvars-extras", "click", "rich", "starlette", "uvicorn")
_SIGNS = {"ok": "green", "warn": "yellow", "fail": "red"}


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was examined: `ok`, `warn` or `fail`, what was found, and the mend."""

    subject: str
    verdict: str
    found: str
    mend: str | None = None


@command("mission-tracer doctor", "mission-tracer doctor --json")
@click.option(
    "--timeout",
    type=Seconds(min=0.1, max=DAY),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="The longest wait for the server.",
)
@json_option
def doctor(*, timeout: float, as_json: bool) -> int:
    """Examine settings, directory, network, key and clock.

    One line each: ok, warn or fail, and what to do about it. The API is asked one question that changes nothing.
    Exit status: 0 nothing is wrong, 1 something is.
    """
    findings = []
    for finding in examine(timeout):
        findings.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        print_json(findings)
    return 1 if any(finding.verdict == "fail" for finding in findings) else 0


def _print(finding: Finding) -> None:
    sign = coloured(f"{finding.verdict:<4}", _SIGNS[finding.verdict])
    click.echo(f"{sign}  {finding.subject:<10} {finding.found}")
    if finding.mend:
        click.echo(f"{'':<17}-> {finding.mend}")


def examine(timeout: float, *, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Examine one thing after the other.

    Args:
        timeout: The longest wait for the server, in seconds.
        clock: Seconds since the epoch, as this machine has them.
    """
    settings, problems = Settings.tolerate(environ=os.environ)
    yield _versions()
    for problem in problems:
        yield Finding("settings", "fail", problem.wrong, f"until then {problem.instead}")
    for name in _strangers(os.environ):
        yield Finding(
            "settings", "warn", f"{name} is no setting: nobody reads it", "see docs/settings.md for the names"
        )
    if not problems:
        yield Finding("settings", "ok" if settings.enabled else "warn", *_switched(settings))
    yield from _examine_directory(settings)
    yield from _examine_journals(settings)
    yield from _examine_api(settings, timeout, clock)


def _versions() -> Finding:
    found = [f"mission_tracer {VERSION}", f"Python {platform.python_version()} on {sys.platform}"]
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found.append(f"{name} {metadata.version(name)}")
    return Finding("versions", "ok", ", ".join(found))


def _strangers(environ: Mapping[str, str]) -> list[str]:
    """List the variables that look like settings and are none."""
    known = {variable(row) for row in fields(Settings)} | _OURS
    return sorted(name for name in environ if name.startswith("MISSION_TRACER_") and name not in known)


_OURS = {PARENT, ENCLOSED, "MISSION_TRACER_BOOT", "MISSION_TRACER_PROGRAM"}  # what we tell the programs that we run


def _switched(settings: Settings) -> tuple[str, str | None]:
    if not settings.enabled:
        return "recording is switched off", "unset MISSION_TRACER_ENABLED"
    return f"sender={settings.sender}, durability={settings.durability}, capture={settings.capture}", None


def _examine_directory(settings: Settings) -> Iterator[Finding]:
    mend = "make it writable for this user, or point MISSION_TRACER_DIR elsewhere"
    try:
        here = directory(settings)
    except ConfigurationError as error:
        yield Finding("directory", "fail", str(error), mend)
        return
    root = here.root
    try:
        here.prepare()
        with tempfile.NamedTemporaryFile(dir=root, prefix=".doctor-") as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        yield Finding("directory", "fail", f"{root} cannot be written: {error.strerror or error}", mend)
        return
    yield Finding("directory", "ok", f"{root} can be written")
    yield _examine_locks(root)
    free = shutil.disk_usage(root).free
    verdict = "fail" if free < _NO_SPACE else "warn" if free < _LITTLE_SPACE else "ok"
    yield Finding("disk", verdict, f"{free // _MIB} MiB free", None if verdict == "ok" else "free some space")


def _examine_locks(root: Path) -> Finding:
    """See whether a second opening of a locked file is kept out."""
    path = root / f".doctor-{os.getpid()}.lock"
    first, second = LockFile(path), LockFile(path)
    try:
        works = first.try_acquire() and not second.try_acquire()
    except OSError as error:
        return Finding("locks", "fail", f"{root} has no file locks: {error.strerror or error}", _LOCAL_DISK)
    finally:
        first.release()
        second.release()
        path.unlink(missing_ok=True)
    if works:
        return Finding("locks", "ok", "files can be locked between processes")
    return Finding("locks", "fail", "two processes can hold the same lock", _LOCAL_DISK)


_LOCAL_DISK = "point MISSION_TRACER_DIR at a local disk"


def _examine_journals(settings: Settings) -> Iterator[Finding]:
    try:
        runs = list(all_books(readable(settings)))
    except (ConfigurationError, OSError) as error:
        yield Finding("journals", "fail", str(error))
        return
    pending, rejected = sum(run.pending for run in runs), sum(run.rejected for run in runs)
    parked = [run for run in runs if run.parked]
    unreadable = [run for run in runs if run.unreadable]
    if pending:
        yield Finding("journals", "warn", f"{plural(pending, 'fact')} not delivered yet", "mission-tracer sync")
    elif len(runs) > len(unreadable):
        known = plural(len(runs) - len(unreadable), "run")
        yield Finding("journals", "ok", f"everything of {known} is delivered or refused")
    elif not runs:
        yield Finding("journals", "ok", "nothing is recorded yet")
    for run in unreadable[:3]:
        yield Finding("journals", "fail", f"run {run.key}: {run.unreadable}")
    for run in parked[:3]:
        yield Finding("journals", "warn", f"run {run.key} is parked: {run.parked}", "mission-tracer sync tries again")
    if rejected:
        yield Finding("journals", "warn", f"the server refused {plural(rejected, 'fact')}", "mission-tracer dead list")


def _examine_api(settings: Settings, timeout: float, clock: Callable[[], float]) -> Iterator[Finding]:
    if settings.api_key is None:
        yield Finding("key", "warn", f"{why_offline(os.environ)}: recording works, nothing is sent", "set it to send")
    headers = {"accept": "application/json", "user-agent": f"mission_tracer/{VERSION} doctor"}
    if settings.api_key:
        headers["authorization"] = f"Bearer {settings.api_key}"
    started = time.monotonic()
    try:
        with silence():
            answer = httpx.get(
                f"{settings.base_url}/ai/missions", params={"page[size]": 1}, headers=headers, timeout=timeout
            )
    except Exception as error:  # noqa: BLE001 - a proxy or certificates that are of no use fail in many ways
        said = clip(str(error) or type(error).__name__, 200)
        verdict = "fail" if settings.api_key else "warn"
        yield Finding("network", verdict, f"{settings.base_url} does not answer: {said}", _mend_network(error))
        return
    took = time.monotonic() - started
    yield Finding("network", "ok", f"{settings.base_url} answered in {took * 1000:.0f} ms")
    if settings.api_key is not None:
        yield _judge_key(answer)
    yield from _judge_clock(answer, clock)


_KEY = "set TELNYX_API_KEY to a valid key"
_NETWORK = "check TELNYX_BASE_URL, the proxy variables and the firewall; what is recorded is kept until then"


def _mend_network(error: Exception) -> str:
    return "pip install 'httpx[socks]', or unset the proxy variable" if isinstance(error, ImportError) else _NETWORK


def _judge_key(answer: httpx.Response) -> Finding:
    why = explain(answer.status_code, answer.headers.get("content-type"), answer.content)
    if answer.status_code in {401, 403}:
        return Finding("key", "fail", f"the key is refused: {why}", _KEY)
    if answer.is_success and _lists_missions(answer):
        return Finding("key", "ok", "the key is accepted")
    if answer.is_success:
        kind = answer.headers.get("content-type", "of no kind")
        found = f"there is no Missions API there: the answer, {kind}, is no list"
        return Finding("key", "fail", found, "check TELNYX_BASE_URL and the proxy; is there a page to sign in at?")
    if answer.status_code == 404:
        return Finding("key", "fail", f"there is no Missions API there: {why}", "check TELNYX_BASE_URL")
    return Finding("key", "warn", f"the server could not say: {why}", "try again later")


def _lists_missions(answer: httpx.Response) -> bool:
    try:
        return isinstance(msgspec.json.decode(answer.content, type=dict[str, Any]).get("data"), list)
    except msgspec.MsgspecError:
        return False


def _judge_clock(answer: httpx.Response, clock: Callable[[], float]) -> Iterator[Finding]:
    try:
        skew = clock() - parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        yield Finding("clock", "warn", "the server does not say what time it is")
        return
    if abs(skew) < _SKEW:
        yield Finding("clock", "ok", f"within {max(1.0, abs(skew)):.0f} s of the server's")
    else:
        ahead = "ahead of" if skew > 0 else "behind"
        yield Finding("clock", "warn", f"{abs(skew):.0f} s {ahead} the server's", "set this machine's clock")
