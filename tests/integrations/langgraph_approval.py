"""Start a graph that asks for approval, or answer it: `langgraph_approval.py DATABASE THREAD [ANSWER]`."""

from __future__ import annotations

import sqlite3
import sys
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

import mission_tracer as mt


class State(TypedDict, total=False):
    offer: int
    answer: str


def find(state: State) -> State:
    return {"offer": 350}


def approve(state: State) -> State:
    mt.log_event("asks")
    return {"answer": interrupt({"offer": state.get("offer")})}


def book(state: State) -> State:
    return {}


def build(saver: Any, **options: Any) -> Any:
    builder: Any = StateGraph(State)
    before = START
    for node in (find, approve, book):
        builder.add_node(node)
        builder.add_edge(before, node.__name__)
        before = node.__name__
    return builder.compile(checkpointer=saver, name="Approval", **options)


if __name__ == "__main__":
    mt.instrument("langchain")
    database, thread, *answer = sys.argv[1:]
    with sqlite3.connect(database, check_same_thread=False) as connection:
        given: Any = Command(resume=answer[0]) if answer else {"offer": 0}
        graph = build(SqliteSaver(connection))
        print(graph.invoke(given, {"configurable": {"thread_id": thread}}))
