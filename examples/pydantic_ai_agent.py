"""Record a pydantic-ai agent: two tools, one of which fails once and is asked again.

    pip install 'mission-tracer[pydantic-ai]'
    python examples/pydantic_ai_agent.py

No account, no network: the model is pydantic-ai's own FunctionModel. With TELNYX_API_KEY set the run is sent to the
Missions API (or to TELNYX_BASE_URL); without it the run is recorded and waits.
"""

from __future__ import annotations

import asyncio

from pydantic_ai import Agent, ModelRetry
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponsePart, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

import mission_tracer as mt

QUOTES = {"ABC Cleaning": 350, "Sparkle": 410}

SCRIPT: list[ModelResponsePart] = [
    ToolCallPart("search_contractors", {"city": "Chicago"}),
    ToolCallPart("call_contractor", {"name": "Shiny"}),
    ToolCallPart("call_contractor", {"name": "ABC Cleaning"}),
    TextPart("ABC Cleaning would do it for 350 dollars."),
]


def answer(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    """Answer from the script: one part for each turn."""
    turn = sum(isinstance(message, ModelResponse) for message in messages)
    return ModelResponse(parts=[SCRIPT[turn]])


washers = Agent(FunctionModel(answer, model_name="scripted"), name="Find window washers", retries=2)


@washers.tool_plain
def search_contractors(city: str) -> list[str]:
    """Find window washers in a city."""
    mt.log_event(f"Looking in {city}")
    return list(QUOTES)


@washers.tool_plain
def call_contractor(name: str) -> int:
    """Ask a contractor for a quote, in dollars."""
    if name not in QUOTES:
        raise ModelRetry(f"{name} has no number, ask another one")
    return QUOTES[name]


if __name__ == "__main__":
    mt.instrument("pydantic-ai")
    print(asyncio.run(washers.run("Who washes windows in Chicago?")).output)
