"""Record a LangGraph graph: an agent with two tools, a question to a person, and a booking when the person agrees.

    pip install 'mission-tracer[langchain]' langchain langgraph
    python examples/langgraph_agent.py

No account, no network: the model is one of LangChain's own fakes and answers from a script, and so does the person.
With TELNYX_API_KEY set the run is sent to the Missions API (or to TELNYX_BASE_URL); without it the run is recorded and
waits.
"""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import ToolException, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from mission_tracer import log_event, plan_step
from mission_tracer.integrations.langchain import MissionCallbackHandler

QUOTES = {"ABC Cleaning": 350, "Sparkle": 410}

# ---- the tools and the nodes; nothing here needs to know of missions, and what does is marked ----


class State(TypedDict, total=False):
    city: str
    advice: str
    approved: bool


@tool
def search_contractors(city: str) -> list[str]:
    """Find window washers in a city."""
    log_event(f"Looking in {city}")  # if you like: an event of the node's step
    return list(QUOTES)


@tool
def call_contractor(name: str) -> int:
    """Ask a contractor for a quote, in dollars."""
    if name not in QUOTES:
        raise ToolException(f"{name} has no number")
    return QUOTES[name]


call_contractor.handle_tool_error = True


def research(state: State) -> State:
    """Let an agent find contractors and call them."""
    agent: Any = create_agent(scripted_model(), [search_contractors, call_contractor], name="researcher")
    said = agent.invoke({"messages": [HumanMessage(f"Who washes windows in {state.get('city')}?")]})
    return {"advice": str(said["messages"][-1].content)}


def approve(state: State) -> State:
    """Ask a person: the run is paused until there is an answer."""
    return {"approved": interrupt({"advice": state.get("advice")}) == "yes"}


def book(state: State) -> State:
    """Book the contractor, if that was approved."""
    with plan_step("write", description="Write the contract"):  # if you like: a step inside the node's
        log_event("Booked" if state.get("approved") else "Not booked")
    return {}


def build() -> Any:
    """Compile the graph; it keeps its state in memory, so it has to be resumed by this process."""
    graph: Any = StateGraph(State)
    graph.add_sequence([research, approve, book])
    graph.add_edge(START, "research")
    return graph.compile(checkpointer=InMemorySaver(), name="Find window washers")


# ---- a model that answers from a script ----


class ScriptedModel(FakeMessagesListChatModel):
    """Give the next answer, whatever tools there are."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        """Take the tools and leave them alone."""
        return self


def scripted_model() -> ScriptedModel:
    """Make the model that the agent asks."""
    calls = [
        {"name": "search_contractors", "args": {"city": "Chicago"}, "id": "c1"},
        {"name": "call_contractor", "args": {"name": "Shiny"}, "id": "c2"},
        {"name": "call_contractor", "args": {"name": "ABC Cleaning"}, "id": "c3"},
    ]
    usage = {"input_tokens": 40, "output_tokens": 8, "total_tokens": 48}
    asking = [AIMessage("", tool_calls=[call], usage_metadata=usage) for call in calls]
    return ScriptedModel(responses=[*asking, AIMessage("ABC Cleaning would do it for 350 dollars.")])


if __name__ == "__main__":
    config: Any = {"callbacks": [MissionCallbackHandler()], "configurable": {"thread_id": "chicago"}}
    program = build()
    paused = program.invoke({"city": "Chicago"}, config)
    print("Asked:", paused["__interrupt__"][0].value["advice"])
    print("Done:", program.invoke(Command(resume="yes"), config))
