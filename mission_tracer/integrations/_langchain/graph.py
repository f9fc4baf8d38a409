"""Read what LangGraph tells, where it is installed: which graph runs, its nodes, and why a part of it stopped."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

import wrapt

from mission_tracer import facts, recorder
from mission_tracer.integrations._patches import Patches, ours

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler as GraphHandler
    from langgraph.errors import GraphDrained, GraphInterrupt
    from langgraph.types import Command
else:
    # One that is there and cannot be imported is as good as none: a program that uses it will say so itself.
    try:
        from langgraph.errors import GraphInterrupt
        from langgraph.types import Command
    except Exception:  # noqa: BLE001 - see above
        GraphInterrupt = Command = ()
    try:
        from langgraph.errors import GraphDrained
    except Exception:  # noqa: BLE001
        GraphDrained = ()
    try:
        # Only handlers of this class are told that a graph stopped at a breakpoint.
        from langgraph.callbacks import GraphCallbackHandler as GraphHandler
    except Exception:  # noqa: BLE001
        from langchain_core.callbacks import BaseCallbackHandler as GraphHandler

__all__ = [
    "Calling",
    "GraphHandler",
    "calling",
    "is_drain",
    "is_interrupt",
    "is_resumption",
    "node_path",
    "plan_of",
    "tell_breakpoints",
]

_ENTRANCES = {"stream", "astream"}
_LIST_ITERATOR: type = type(iter([]))
_FRAMEWORK = ("langchain", "langgraph")
_LIBRARY = (*_FRAMEWORK, "mission_tracer.")


class Calling:
    """What the call that begins now is: the graph that runs, if it is one, and what it was given, if that is known.

    Args:
        graph: The compiled graph; `None`: none, or it cannot be read.
        given: The input of a stream, which the framework tells only at its end; `None`: not known.
    """

    __slots__ = ("given", "graph")

    def __init__(self, graph: Any = None, given: Any = None) -> None:
        self.graph = graph
        self.given = given


def calling() -> Calling:
    """Look at the method of the runnable that calls our hook; the hooks themselves are not told."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the documented way to a caller's frame
    given: Any = None
    while frame is not None and str(frame.f_globals.get("__name__")).startswith(_LIBRARY):
        name = frame.f_code.co_name
        if name in _ENTRANCES and "input" in frame.f_code.co_varnames:
            values = frame.f_locals
            runnable = values.get("self")
            is_graph = isinstance(getattr(runnable, "nodes", None), Mapping) and hasattr(runnable, "get_graph")
            return Calling(runnable if is_graph else None, values.get("input"))
        if name == "transform":
            given = _only_item(frame.f_locals.get("input"))
        frame = frame.f_back
    return Calling(None, given)


def _only_item(items: Any) -> Any:
    """Return the one item that an iterator over a list has, without taking it; `None`: it is no such iterator."""
    if not isinstance(items, _LIST_ITERATOR):
        return None
    # What pickle would keep of it: `iter`, the list, and how far it got.
    state: Any = items.__reduce__()
    return state[1][0][0] if len(state[1][0]) == 1 else None


def plan_of(graph: Any) -> list[facts.PlannedStep]:
    """List a compiled graph's nodes as steps, in the order they were added; none when it cannot be read."""
    try:
        names = [name for name in graph.nodes if isinstance(name, str) and name.strip() and not name.startswith("__")]
        return [facts.PlannedStep(name, _described(graph, name)) for name in names]
    except Exception as error:  # noqa: BLE001 - a plan is welcome, the run is not to be lost for it
        recorder.default().trouble(error, "langchain.plan")
        return []


def _described(graph: Any, node: str) -> str:
    """Say what a node is about: the first line of its function's docstring, else its name."""
    spec = getattr(getattr(graph, "builder", None), "nodes", {}).get(node)
    runnable = getattr(spec, "runnable", None)
    function = getattr(runnable, "func", None) or getattr(runnable, "afunc", None)
    if not inspect.isroutine(function) or str(getattr(function, "__module__", "")).startswith(_FRAMEWORK):
        return node
    doc = getattr(function, "__doc__", None)
    return (doc.strip().partition("\n")[0].strip() if isinstance(doc, str) else "") or node


def node_path(namespace: str, node: str) -> str:
    """Name a node's step: `researcher.model` for the node `model` of the graph that the node `researcher` is.

    Args:
        namespace: LangGraph's name of the task: `researcher:<id>|model:<id>`; empty in its oldest versions.
        node: The node's name.
    """
    names = [part.partition(":")[0] for part in namespace.split("|")]
    return ".".join(name for name in names if name and not name.isdigit()) or node


def is_drain(error: BaseException) -> bool:
    """Say whether a graph was asked to stop between two nodes, to go on later."""
    return isinstance(error, GraphDrained)


def is_resumption(inputs: Any) -> bool:
    """Say whether a graph is given nothing new: it goes on where it stopped."""
    return inputs is None or isinstance(inputs, Command)


def is_interrupt(error: BaseException) -> bool:
    """Say whether a node was left to wait for an answer."""
    return isinstance(error, GraphInterrupt)


def tell_breakpoints(patches: Patches, handler: Any) -> None:
    """See to it that a handler that no call names is told about breakpoints too."""

    def add(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:  # noqa: ARG001 - wrapt's signature
        manager = wrapped(*args, **kwargs)
        if not any(isinstance(known, type(handler)) for known in manager.handlers):
            manager.add_handler(handler)
        return manager

    @ours
    def wrap(pregel: ModuleType) -> None:
        for name in ("get_sync_graph_callback_manager_for_config", "get_async_graph_callback_manager_for_config"):
            if hasattr(pregel, name):
                patches.wrap(pregel, name, add)

    # A program that has LangGraph installed and does not use it is not made to import it.
    wrapt.register_post_import_hook(wrap, "langgraph.pregel.main")
