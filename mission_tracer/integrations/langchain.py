"""Record LangChain and LangGraph: chains and graphs are runs, nodes are steps, tools and models' answers are events.

`MissionCallbackHandler` is handed to a call as one of its callbacks; `instrument("langchain")` hands it to every call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar, cast
from uuid import UUID

from mission_tracer import recorder
from mission_tracer.integrations._coverage import cover
from mission_tracer.integrations._patches import Patches, require

require("langchain_core", "1.0", distribution="langchain-core")

from langchain_core.documents import Document  # noqa: E402 - the version is checked first
from langchain_core.outputs import LLMResult  # noqa: E402
from langchain_core.tracers import context as hooks  # noqa: E402

from mission_tracer._base.checks import check_name  # noqa: E402
from mission_tracer._base.endings import is_pause  # noqa: E402
from mission_tracer.integrations._langchain.content import about_model, name_of, text_of  # noqa: E402
from mission_tracer.integrations._langchain.events import (  # noqa: E402
    end_model,
    end_tool,
    fail_model,
    fail_tool,
    log_custom,
    start_tool,
)
from mission_tracer.integrations._langchain.following import Following  # noqa: E402
from mission_tracer.integrations._langchain.graph import GraphHandler, is_interrupt, tell_breakpoints  # noqa: E402
from mission_tracer.integrations._langchain.place import is_within_chain  # noqa: E402
from mission_tracer.integrations._langchain.runs import OwnRuns  # noqa: E402

__all__ = ["MissionCallbackHandler", "install"]

F = TypeVar("F", bound=Callable[..., None])
_INSTRUMENTATIONS = ("openinference.instrumentation.langchain", "opentelemetry.instrumentation.langchain")
_BREAKPOINTS = {"interrupt_before", "interrupt_after"}


def _hook(method: F) -> F:
    """Keep our own errors out of the program, and everything out of a recorder that is off."""

    @functools.wraps(method)
    def inner(self: Any, *args: Any, **kwargs: Any) -> None:
        recording = recorder.default()
        if recording.enabled:
            try:
                method(self, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - this is the guard
                recording.trouble(error, f"langchain.{method.__name__}")

    return cast("F", inner)


class MissionCallbackHandler(GraphHandler):
    """Record every chain, graph, tool and model it is handed to; inside a run that is under way, as a part of that run.

    One handler serves any number of calls, also at the same time and from several threads. It never raises into the
    program.

    Args:
        mission: The mission of the runs it opens; `None`: the name of the chain or graph.
        mission_id: That mission's id, when it is known; it is then not looked up by name.
        description: The mission's description, when it is created.
        instructions: The mission's instructions, when it is created.
        model: The mission's model, when it is created.
        metadata: Added to the metadata of the runs.
        lone_calls: False: a model or tool that is called by itself, outside of every chain and run, is not recorded;
            True: it is a run of its own.

    Raises:
        TypeError, ValueError: `mission` is no name.
    """

    # In the caller's thread and context: what a hook makes current there, the body of the call sees.
    run_inline = True

    def __init__(
        self,
        mission: str | None = None,
        *,
        mission_id: str | None = None,
        description: str | None = None,
        instructions: str | None = None,
        model: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        lone_calls: bool = True,
    ) -> None:
        spec = {"id": mission_id, "description": description, "instructions": instructions, "model": model}
        runs = OwnRuns(None if mission is None else check_name(mission, "mission"), spec, metadata)
        self._following = Following(runs, lone_calls=lone_calls)
        self.is_everywhere = False  # true while every call is told to it
        cover(self)
        self._made_with = (mission, mission_id, description, instructions, model, metadata, lone_calls)

    @property
    def raise_error(self) -> bool:  # type: ignore[override]  # the framework only reads it
        """Whether LangChain lets our own errors through: when the setting `strict` is on."""
        return recorder.default().settings.strict

    @property
    def under_way(self) -> int:
        """How many chains, nodes, tools and models are under way."""
        return len(self._following)

    def covers(self, origin: str) -> bool:
        """Say whether it records what an OpenTelemetry instrumentation tells: of every call, or of the one here."""
        return origin in _INSTRUMENTATIONS and (self.is_everywhere or is_within_chain())

    def close(self) -> None:
        """Begin nothing any more; what is under way is recorded to its end."""
        self._following.is_closed = True
        self.is_everywhere = False

    def __reduce__(self) -> Any:
        return _make, self._made_with

    # ---- chains, graphs and their nodes ----

    @_hook
    def on_chain_start(
        self,
        serialized: Mapping[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: Mapping[str, Any] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Begin a run, enter a step, or only follow a chain that is neither."""
        self._following.begin_chain(
            run_id,
            parent_run_id,
            name_of(name, serialized, "chain"),
            inputs,
            metadata or {},
        )

    @_hook
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """End a chain or node."""
        self._following.end_chain(run_id, outputs, None)

    @_hook
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """End a chain or node that failed, was cancelled, or was left to wait for an answer."""
        self._following.end_chain(run_id, None, error)

    @_hook
    def on_interrupt(self, event: Any) -> None:
        """Note that a graph stopped at a breakpoint."""
        track = self._following.get(event.run_id)
        if track is not None and event.status in _BREAKPOINTS:
            track.stopped.reason = "at a breakpoint"

    # ---- tools and retrievers ----

    @_hook
    def on_agent_action(self, action: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Note the model's id of the call that a classic agent makes next; the tool itself is not told."""
        track, call_id = self._following.get(run_id), getattr(action, "tool_call_id", None)
        if track is not None and call_id:
            track.announced.append((action.tool, call_id))

    @_hook
    def on_tool_start(
        self,
        serialized: Mapping[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Log that a tool is called."""
        arguments = inputs if isinstance(inputs, dict) else {"input": input_str}
        track = self._following.begin_call(
            run_id, parent_run_id, "tool", name_of(kwargs.get("name"), serialized, "tool"), arguments
        )
        if track is not None:
            start_tool(track, arguments, kwargs.get("tool_call_id"))

    @_hook
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Log what a tool gave."""
        track = self._following.take(run_id)
        if track is not None:
            self._following.end(track, end_tool(track, output), None)

    @_hook
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Log that a tool failed, unless it was left to wait for an answer."""
        track = self._following.take(run_id, error)
        if track is None:
            return
        if is_interrupt(error) and track.parent is not None:
            track.parent.stopped.calls.append(track.about["call_id"])
        elif not is_pause(error):
            fail_tool(track, error)
        self._following.end(track, None, error)

    @_hook
    def on_retriever_start(
        self,
        serialized: Mapping[str, Any] | None,
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Log that documents are looked for."""
        name = name_of(kwargs.get("name"), serialized, "retriever")
        track = self._following.begin_call(run_id, parent_run_id, "tool", name, {"query": query})
        if track is not None:
            start_tool(track, {"query": query}, None)

    @_hook
    def on_retriever_end(self, documents: Sequence[Document], *, run_id: UUID, **kwargs: Any) -> None:
        """Log which documents were found."""
        track = self._following.take(run_id)
        if track is not None:
            self._following.end(track, end_tool(track, documents), None)

    @_hook
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Log that looking for documents failed."""
        track = self._following.take(run_id, error)
        if track is not None:
            fail_tool(track, error)
            self._following.end(track, None, error)

    # ---- models ----

    @_hook
    def on_chat_model_start(
        self,
        serialized: Mapping[str, Any] | None,
        messages: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Follow a call of a chat model."""
        self._start_model(run_id, parent_run_id, serialized, metadata or {}, {"messages": messages}, kwargs)

    @_hook
    def on_llm_start(
        self,
        serialized: Mapping[str, Any] | None,
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Follow a call of a completion model."""
        self._start_model(run_id, parent_run_id, serialized, metadata or {}, {"prompts": prompts}, kwargs)

    def _start_model(
        self,
        run_id: UUID,
        parent_run_id: UUID | None,
        serialized: Mapping[str, Any] | None,
        metadata: Mapping[str, Any],
        given: Mapping[str, Any],
        kwargs: Mapping[str, Any],
    ) -> None:
        name = name_of(kwargs.get("name"), serialized, "model")
        batch = kwargs.get("batch_size") or 1
        track = self._following.begin_call(run_id, parent_run_id, "model", name, given, batch=batch)
        if track is not None:
            track.about = {**about_model(name, metadata, kwargs.get("invocation_params")), "batch": batch}

    @_hook
    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Keep what the model says, and let go of what it does: what is done between two words is somebody else's."""
        track = self._following.get(run_id)
        if track is not None and track.place is not None:
            track.said.add_text(text_of(token))
            track.place.disown()

    @_hook
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Log what a model answered."""
        track = self._following.take(run_id)
        if track is not None:
            self._following.end(track, end_model(track, response), None)

    @_hook
    def on_llm_error(
        self,
        error: BaseException,
        *,
        run_id: UUID,
        response: LLMResult | None = None,
        **kwargs: Any,
    ) -> None:
        """Log that a model failed, or what it had said until somebody had enough of it."""
        track = self._following.take(run_id, error)
        if track is not None:
            fail_model(track, error, response)
            self._following.end(track, None, error)

    # ---- what else is told ----

    @_hook
    def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Log an event that the program dispatched."""
        track = self._following.get(run_id)
        if track is not None:
            log_custom(track, str(name), data)

    @_hook
    def on_retry(self, retry_state: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Log that a call is tried again."""
        track = self._following.get(run_id)
        if track is not None:
            attempt = retry_state.attempt_number + 1
            track.write("custom", f"Attempt {attempt} of {track.name}", {"name": track.name, "attempt": attempt})


def _make(
    mission: str | None,
    mission_id: str | None,
    description: str | None,
    instructions: str | None,
    model: str | None,
    metadata: Mapping[str, Any] | None,
    lone_calls: bool,  # noqa: FBT001 - pickled by position
) -> MissionCallbackHandler:
    return MissionCallbackHandler(
        mission,
        mission_id=mission_id,
        description=description,
        instructions=instructions,
        model=model,
        metadata=metadata,
        lone_calls=lone_calls,
    )


def install(
    _name: str,
    *,
    mission: str | None = None,
    mission_id: str | None = None,
    description: str | None = None,
    instructions: str | None = None,
    model: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    lone_calls: bool = False,
) -> Callable[[], None]:
    """Hand a handler to every call that is not handed one; the options are those of `MissionCallbackHandler`.

    The undo lets what is under way be recorded to its end.
    """
    handler = _make(mission, mission_id, description, instructions, model, metadata, lone_calls)
    handler.is_everywhere = True
    # The default of a variable is seen in every thread and context, a value that is set only in this one.
    variable: ContextVar[Any] = ContextVar("mission_tracer_langchain", default=handler)
    hooks.register_configure_hook(variable, inheritable=True, handle_class=MissionCallbackHandler)
    patches = Patches()
    tell_breakpoints(patches, handler)

    def undo() -> None:
        handler.close()
        patches.undo()
        # The library has no way to take a hook back.
        registered: list[Any] = getattr(hooks, "_configure_hooks", [])
        registered[:] = [hook for hook in registered if hook[0] is not variable]

    return undo
