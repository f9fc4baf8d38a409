"""What the public contract leaves open, as switches with a documented default each."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from mission_tracer.errors import ConfigurationError

Seconds = Annotated[float, Meta(ge=0, title="number of seconds")]
Bytes = Annotated[int, Meta(gt=0, title="number of bytes")]


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Choose an answer to each question that the contract does not settle.

    Every switch takes the values named in its annotation; the first is the default. The description beside it is its
    documentation: the table in `docs/server.md` is made from this class by `switches_table()`.
    """

    repeated_key: Annotated[
        Literal["created", "ok", "conflict"],
        Meta(
            description="An event whose `idempotency_key` was seen before: 201 with the first event, 200 with it, or "
            "409. Nothing is stored, even when the rest of the body differs."
        ),
    ] = "created"
    key_scope: Annotated[
        Literal["run", "mission", "organization"],
        Meta(description="Where an `idempotency_key` has to be unique: `organization` is the whole server."),
    ] = "run"
    key_lifetime: Annotated[
        Literal["forever"] | Seconds,
        Meta(description="How long an `idempotency_key` is remembered; `0` ignores the keys altogether."),
    ] = "forever"
    second_plan: Annotated[
        Literal["conflict", "replace", "append"],
        Meta(description="Create a plan where there is one: 409, drop the old steps, or add to them."),
    ] = "conflict"
    absent_plan: Annotated[
        Literal["empty", "not_found"],
        Meta(description="Get the plan of a run that has none: an empty list, or 404."),
    ] = "empty"
    steps_without_plan: Annotated[
        Literal["create", "conflict"],
        Meta(description="Add steps to a run without a plan: they become the plan, or 409."),
    ] = "create"
    duplicate_step: Annotated[
        Literal["conflict", "ignore", "accept"],
        Meta(
            description="A `step_id` the run has already: 409 (422 when it stands twice in one request); the first "
            "one stays; or a second step under that id, of which reading and updating find the first."
        ),
    ] = "conflict"
    parent_in_request: Annotated[
        Literal["accept", "reject"],
        Meta(description="A `parent_step_id` that names a step of the same request: fine, or 422."),
    ] = "accept"
    unknown_parent: Annotated[
        Literal["accept", "reject"],
        Meta(description="A `parent_step_id` that names no step at all: stored as it is, or 422."),
    ] = "accept"
    run_transitions: Annotated[
        Literal["conflict", "accept"],
        Meta(
            description="A run status that does not follow from the present one, `pause` of a run that is not running, "
            "`resume` of one that is not paused, `cancel` of one that is neither: 409, or obeyed."
        ),
    ] = "conflict"
    step_transitions: Annotated[
        Literal["conflict", "strict", "accept"],
        Meta(
            description="A step status that does not follow from the present one: 409, but a failed step may be tried "
            "again; 409, and a finished step never changes; or obeyed."
        ),
    ] = "conflict"
    same_status: Annotated[
        Literal["accept", "conflict"],
        Meta(
            description="The status a run or step has already, also by `pause`, `resume` and `cancel`: 200 and only "
            "`updated_at` moves, or 409."
        ),
    ] = "accept"
    step_times: Annotated[
        Literal["server", "none"],
        Meta(
            description="Whether the server keeps `started_at` and `completed_at` of a step: set by the "
            "first `in_progress`, and by `completed`, `failed` and `skipped`; `completed_at` goes when the step is "
            "opened again."
        ),
    ] = "server"
    status_event: Annotated[
        Literal["none", "write"],
        Meta(description="Whether a change of a run's status writes a `status_change` event by itself."),
    ] = "none"
    event_unknown_step: Annotated[
        Literal["accept", "reject"],
        Meta(description="An event whose `step_id` the plan does not have: stored, or 422."),
    ] = "accept"
    event_after_finish: Annotated[
        Literal["accept", "conflict"],
        Meta(description="An event for a run that succeeded, failed or was cancelled: stored, or 409."),
    ] = "accept"
    patch_metadata: Annotated[
        Literal["merge", "replace"],
        Meta(
            description="`metadata` in a PATCH of a run or step: its top-level keys are merged into the old, or it "
            "takes their place."
        ),
    ] = "merge"
    put_omitted: Annotated[
        Literal["keep", "clear"],
        Meta(
            description="A field left out of PUT mission: keeps its value, or is cleared (`name` and `execution_mode` "
            "always stay)."
        ),
    ] = "keep"
    second_link: Annotated[
        Literal["conflict", "accept"],
        Meta(description="Link an agent that is linked already: 409, or 201 with the first link."),
    ] = "conflict"
    absent_delete: Annotated[
        Literal["not_found", "accept"],
        Meta(description="Delete or unlink what is not there (any more): 404, or 204."),
    ] = "not_found"
    attached_in_mission: Annotated[
        Literal["include", "omit"],
        Meta(
            description="Whether getting one mission shows the `tools`, `knowledge_bases` and `mcp_servers` it has; a "
            "mission without any looks the same either way."
        ),
    ] = "include"
    mission_delete: Annotated[
        Literal["cascade", "conflict"],
        Meta(description="Delete a mission that has runs: they go with it, or 409."),
    ] = "cascade"
    list_order: Annotated[
        Literal["oldest", "newest"],
        Meta(
            description="Which end of a list comes first. A plan is always in the order of `sequence`, then creation."
        ),
    ] = "oldest"
    unknown_fields: Annotated[
        Literal["ignore", "reject"],
        Meta(description="A field of a request body that the contract does not know: ignored, or 422."),
    ] = "ignore"
    max_body: Annotated[
        Literal["unlimited"] | Bytes,
        Meta(description="The largest request body that is read; a larger one is answered 413."),
    ] = "unlimited"
    error_shape: Annotated[
        Literal["telnyx", "fastapi"],
        Meta(
            description='The body of every error but 422: `{"errors": [{code, title, detail}]}` or `{"detail": "..."}`.'
        ),
    ] = "telnyx"


def merge(behaviour: Behaviour, changes: dict[str, Any]) -> Behaviour:
    """Return `behaviour` with some switches changed.

    Args:
        behaviour: what holds for the switches not named.
        changes: values by switch name; numbers may be given as text.

    Raises:
        ConfigurationError: an unknown switch or value; the message names the allowed ones.
    """
    allowed = allowed_values()
    for name, value in changes.items():
        if name not in allowed:
            raise ConfigurationError(f"unknown switch {name!r}; there are {', '.join(allowed)}")
        try:
            changed = msgspec.convert({name: value}, Behaviour, strict=False)
        except msgspec.ValidationError:
            raise ConfigurationError(f"{name} cannot be {value!r}; it is one of {', '.join(allowed[name])}") from None
        behaviour = msgspec.structs.replace(behaviour, **{name: getattr(changed, name)})
    return behaviour


def parse(assignments: list[str]) -> Behaviour:
    """Return the behaviour that `name=value` texts ask for.

    Raises:
        ConfigurationError: a text without `=`, an unknown switch or value.
    """
    changes = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigurationError(f"--behaviour must be name=value, not {text!r}")
        changes[name.strip()] = value.strip()
    return merge(Behaviour(), changes)


def allowed_values() -> dict[str, tuple[str, ...]]:
    """Return the values every switch takes, the default first."""
    return {name: _values(hint) for name, hint in get_type_hints(Behaviour, include_extras=True).items()}


def _values(hint: Any) -> tuple[str, ...]:
    """Flatten a switch's annotation into the words a user may write."""
    origin = get_origin(hint)
    if origin is Literal:
        return get_args(hint)
    if origin in {Union, types.UnionType}:
        return tuple(word for part in get_args(hint) for word in _values(part))
    kind, meta = get_args(hint)
    return (meta.title,) if meta.title else _values(kind)


def switches_table() -> str:
    """Return the Markdown table of all switches: the one in `docs/server.md`."""
    hints = get_type_hints(Behaviour, include_extras=True)
    rows = ["| switch | values, default first | what it decides |", "|---|---|---|"]
    for name, values in allowed_values().items():
        words = ", ".join(word if " " in word else f"`{word}`" for word in values)
        rows.append(f"| `{name}` | {words} | {get_args(hints[name])[1].description} |")
    return "\n".join(rows) + "\n"
