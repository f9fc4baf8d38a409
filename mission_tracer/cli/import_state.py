"""Adopt what telnyx-toolkit's missions script has under way."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct

from mission_tracer import facts
from mission_tracer.cli._inside.pen import Pen
from mission_tracer.cli._inside.place import load_settings
from mission_tracer.cli.command import command
from mission_tracer.cli.output import json_option, plural, print_json
from mission_tracer.settings import Settings


class Entry(Struct, frozen=True):
    """One mission of the state file."""

    mission_name: str | None = None
    mission_id: str | None = None
    run_id: str | None = None
    created_at: str | None = None
    assistant_id: str | None = None
    agent_phone: str | None = None
    phone_number_id: str | None = None
    memory: dict[str, Any] = {}


class Adopted(Struct, omit_defaults=True):
    """What became of an entry."""

    slug: str
    mission: str
    key: str | None = None
    mission_id: str | None = None
    run_id: str | None = None
    is_new: bool = False
    note: str | None = None


@command("mission-tracer import-state", "mission-tracer step start calls --run 01k8...")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default=Path(".missions_state.json"))
@json_option
def import_state(*, file: Path, as_json: bool) -> int:
    """Adopt the open runs of telnyx-toolkit.

    What its telnyx_api.py has under way goes on in the same missions and runs.

    FILE is its state file, .missions_state.json. Each run gets a key here; its memory is logged as an event. The file
    is only read; importing it again adopts what is new. No network.
    """
    entries = _read(file)
    here = load_settings()
    adopted = [_adopt(here, slug, entry) for slug, entry in entries.items()]
    if as_json:
        print_json(adopted)
    else:
        _say(adopted)
    return 1 if any(item.key is None for item in adopted) else 0


def _read(file: Path) -> dict[str, Entry]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Entry])
    except msgspec.MsgspecError as error:
        raise click.ClickException(f"{file} is not a state file of telnyx_api.py: {error}") from None


def _adopt(here: Settings, slug: str, entry: Entry) -> Adopted:
    name = entry.mission_name or slug
    if entry.mission_id is None or entry.run_id is None:
        if entry.mission_id is not None:
            pen = Pen(here, "0")
            pen.directory.prepare()
            pen.directory.remember(here.base_url, name, entry.mission_id)
        return Adopted(slug, name, mission_id=entry.mission_id, note=f"it has no run: mission-tracer start {name!r}")
    pen = Pen(here, _key(entry))
    is_new = pen.directory.find(pen.key) is None
    if is_new:
        pen.begin()
        mission = facts.MissionSpec(pen.name(name), id=entry.mission_id)
        pen.write(facts.RunJoined, key=pen.key, mission=mission, base_url=here.base_url, run_id=entry.run_id)
        _write_memory(pen, slug, entry)
        pen.close()
    return Adopted(slug, name, pen.key, entry.mission_id, entry.run_id, is_new)


def _write_memory(pen: Pen, slug: str, entry: Entry) -> None:
    known = ("assistant_id", "agent_phone", "phone_number_id", "memory")
    memory = {name: value for name in known if (value := getattr(entry, name))}
    if memory:
        pen.write_event("custom", f"Memory of {slug}", pen.capture.value(memory))


def _key(entry: Entry) -> str:
    """Make the key that importing the same run again makes too."""
    try:
        moment = datetime.fromisoformat((entry.created_at or "").replace("Z", "+00:00"))
    except ValueError:
        moment = datetime.fromtimestamp(0, timezone.utc)
    entropy = hashlib.sha256(str(entry.run_id).encode()).digest()[:8]
    return facts.new_key(clock=max(0, int(moment.timestamp() * 1_000_000_000)), entropy=entropy)


def _say(adopted: list[Adopted]) -> None:
    for item in adopted:
        if item.key is None:
            click.echo(f"{item.slug}: not adopted: {item.note}", err=True)
        else:
            click.echo(f"{item.slug}: run {item.key}{'' if item.is_new else ' (adopted before)'}")
    runs = [item for item in adopted if item.key is not None]
    click.echo(f"{plural(len(runs), 'run')} adopted")
    if runs:
        click.echo(f"go on with: mission-tracer step start ID --run {runs[0].key}")
