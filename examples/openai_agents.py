"""Record a loop of the OpenAI Agents SDK: two agents, a handoff, two tools, one of which fails.

    pip install 'mission-tracer[openai-agents]' httpx2
    python examples/openai_agents.py

No account, no network: the model is the SDK's own, over a client whose server answers from a script. With
TELNYX_API_KEY set the run is sent to the Missions API (or to TELNYX_BASE_URL); without it the run is recorded and
waits.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import httpx2
from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    RunConfig,
    RunContextWrapper,
    Runner,
    function_tool,
    set_trace_processors,
)
from openai import AsyncOpenAI

from mission_tracer import log_event
from mission_tracer.integrations.openai_agents import MissionTracingProcessor

QUOTES = {"ABC Cleaning": 350, "Sparkle": 410}

# ---- the agent; nothing here knows of missions but one line of the first tool ----


@function_tool
def search_contractors(city: str) -> list[str]:
    """Find window washers in a city."""
    log_event(f"Looking in {city}")
    return list(QUOTES)


def explain(_context: RunContextWrapper[Any], error: Exception) -> str:
    """Tell the model what went wrong; without such a function the SDK keeps it from the model and from traces."""
    return f"The call failed: {error}"


@function_tool(failure_error_function=explain)
def call_contractor(name: str) -> int:
    """Ask a contractor for a quote, in dollars."""
    if name not in QUOTES:
        raise LookupError(f"{name} has no number")
    return QUOTES[name]


def build(model: OpenAIChatCompletionsModel) -> Agent[Any]:
    """Make the agents: one finds contractors and hands off to one that calls them."""
    caller = Agent(name="Caller", model=model, tools=[call_contractor])
    return Agent(name="Researcher", model=model, tools=[search_contractors], handoffs=[caller])


# ---- a model that answers from a script ----


def calls(tool: str, **arguments: str) -> dict[str, Any]:
    """Answer by calling a tool."""
    function = {"name": tool, "arguments": json.dumps(arguments)}
    call = {"id": uuid.uuid4().hex, "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


SCRIPT = [
    calls("search_contractors", city="Chicago"),
    calls("transfer_to_caller"),
    calls("call_contractor", name="Shiny"),
    calls("call_contractor", name="ABC Cleaning"),
    {"role": "assistant", "content": "ABC Cleaning would do it for 350 dollars."},
]


def scripted_model() -> OpenAIChatCompletionsModel:
    """Make the SDK's chat model, over a client whose server is not there."""
    left = iter(SCRIPT)

    def answer(request: httpx2.Request) -> httpx2.Response:
        choice = {"index": 0, "message": next(left), "finish_reason": "stop"}
        usage = {"prompt_tokens": 40, "completion_tokens": 8, "total_tokens": 48}
        about = {"id": "chat", "object": "chat.completion", "created": 1, "model": "scripted"}
        return httpx2.Response(200, request=request, json={**about, "choices": [choice], "usage": usage})

    client = AsyncOpenAI(api_key="none", http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer)))
    return OpenAIChatCompletionsModel(model="scripted", openai_client=client)


if __name__ == "__main__":
    # In a program of your own `mission_tracer.instrument("openai-agents")` is enough: it adds a processor to the SDK's
    # own, which sends to OpenAI. Here that one is replaced, so that nothing is sent there.
    set_trace_processors([MissionTracingProcessor()])
    plan = RunConfig(workflow_name="Find window washers")
    result = asyncio.run(Runner.run(build(scripted_model()), "Who washes windows in Chicago?", run_config=plan))
    print(result.final_output)
