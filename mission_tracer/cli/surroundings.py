"""Read the settings a command works with from its environment."""

from __future__ import annotations

import importlib
import os
from contextlib import suppress
from types import ModuleType
from typing import Any

import click
import msgspec
from click.shell_completion import CompletionItem

from mission_tracer._disk.directory import Directory, read_head
from mission_tracer.cli._inside.place import load_settings, readable
from mission_tracer.errors import MissionTracerError
from mission_tracer.settings import Settings, why_offline

_OFFERED = 30


def sending_settings() -> Settings:
    """Read the settings for a command that delivers, whatever the programs it delivers for are told.

    Raises:
        click.ClickException: There is no API key that can be used.
    """
    loaded = load_settings(sender="thread", durability="process", enabled=True)
    if loaded.api_key is None:
        raise click.ClickException(f"{why_offline(os.environ)}; nothing can be sent without it")
    return loaded


def json_object(option: str, text: str) -> dict[str, Any]:
    """Read an option that is a JSON object.

    Raises:
        click.UsageError: It is none.
    """
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise click.UsageError(f"{option} must be a JSON object: {error}.") from None


def complete_run(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the keys of this machine's newest runs, each with its mission's name, to a shell that completes RUN."""
    try:
        place = readable(Settings.tolerate(environ=os.environ)[0])
        keys = sorted({*place.keys(), *place.delivered_keys()}, reverse=True)
        return [CompletionItem(key, help=_mission(place, key)) for key in keys if key.startswith(typed)][:_OFFERED]
    except (MissionTracerError, OSError):
        return []  # a shell in the middle of a line is no place to complain


def _mission(place: Directory, key: str) -> str | None:
    with suppress(OSError):
        head = read_head(place, key)
        return head.mission.name if head is not None else None
    return None  # it was delivered and put away


def optional(module: str, extra: str) -> ModuleType:
    """Import a part that needs an extra.

    Raises:
        click.ClickException: The extra is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "mission_tracer":
            raise
        raise click.ClickException(f"this needs {missing}: pip install 'mission-tracer[{extra}]'") from None
