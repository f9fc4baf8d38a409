"""Record a loop written by hand over a LangChain chat model, with two tools, one of which fails once.

    pip install 'mission-tracer[langchain]'
    python examples/langchain_loop.py

No account, no network: the model is one of LangChain's own fakes and answers from a script. With TELNYX_API_KEY set the
run is sent to the Missions API (or to TELNYX_BASE_URL); without it the run is recorded and waits.
"""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool

from mission_tracer import instrument, log_event, mission_run

QUOTES = {"ABC Cleaning": 350, "Sparkle": 410}

# ---- the loop; nothing here knows of missions but the two marked lines ----


@tool
def search_contractors(city: str) -> list[str]:
    """Find window washers in a city."""
    log_event(f"Looking in {city}")  # if you like: an event of the run that is under way
    return list(QUOTES)


@tool
def call_contractor(name: str) -> int:
    """Ask a contractor for a quote, in dollars."""
    if name not in QUOTES:
        raise LookupError(f"{name} has no number")
    return QUOTES[name]


TOOLS = {each.name: each for each in (search_contractors, call_contractor)}


@mission_run("Find window washers")  # says where the run begins and ends: a loop of your own has no name for LangChain
def find_window_washers(model: BaseChatModel, question: str) -> str:
    """Ask the model, call the tools it asks for, tell it what they gave, until it has an answer."""
    said: list[BaseMessage] = [HumanMessage(question)]
    while True:
        answer = model.invoke(said)
        said.append(answer)
        if not answer.tool_calls:
            return str(answer.content)
        for call in answer.tool_calls:
            try:
                said.append(TOOLS[call["name"]].invoke(call))
            except LookupError as error:
                said.append(ToolMessage(str(error), tool_call_id=call["id"], status="error"))


# ---- a model that answers from a script ----


def calling(tool_name: str, number: int, **arguments: Any) -> AIMessage:
    """Answer by calling a tool."""
    usage = {"input_tokens": 40, "output_tokens": 8, "total_tokens": 48}
    return AIMessage("", tool_calls=[{"name": tool_name, "args": arguments, "id": f"c{number}"}], usage_metadata=usage)


SCRIPT: list[BaseMessage] = [
    calling("search_contractors", 1, city="Chicago"),
    calling("call_contractor", 2, name="Shiny"),
    calling("call_contractor", 3, name="ABC Cleaning"),
    AIMessage("ABC Cleaning would do it for 350 dollars."),
]


if __name__ == "__main__":
    instrument("langchain")
    print(find_window_washers(FakeMessagesListChatModel(responses=SCRIPT), "Who washes windows in Chicago?"))
