"""Models that answer from a script, tools, and calls of them: a LangChain program that needs no network."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException, tool

import mission_tracer as mt
from mission_tracer.integrations.langchain import MissionCallbackHandler

USAGE = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}


class ScriptedModel(FakeMessagesListChatModel):
    """Give one answer after the other, whatever is asked."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self


class StuckModel(ScriptedModel):
    """Never answer."""

    async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(60)


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def fail(why: str) -> str:
    """Fail."""
    raise ValueError(why)


@tool
def refuse(why: str) -> str:
    """Report an error to the model."""
    raise ToolException(why)


refuse.handle_tool_error = True


@tool
async def sleep(seconds: float) -> str:
    """Take a while."""
    await asyncio.sleep(seconds)
    return "rested"


TOOLS = {each.name: each for each in (add, fail, refuse, sleep)}


def calls(*asked: tuple[str, dict[str, Any]], usage: bool = False) -> AIMessage:
    """Answer with calls of tools; their ids are c1, c2, ..."""
    listed = [{"name": name, "args": args, "id": f"c{n}"} for n, (name, args) in enumerate(asked, start=1)]
    return AIMessage("", tool_calls=listed, usage_metadata=USAGE if usage else None)


def model(*answers: AIMessage | str) -> ScriptedModel:
    """Make a model that gives these answers."""
    return ScriptedModel(responses=[AIMessage(said) if isinstance(said, str) else said for said in answers])


def talker(text: str = "one two three") -> GenericFakeChatModel:
    """Make a model that streams a text word by word, as often as it is asked."""
    return GenericFakeChatModel(messages=iter([AIMessage(text)] * 20))


def through(*handlers: BaseCallbackHandler) -> RunnableConfig:
    """Hand a call some handlers."""
    return {"callbacks": [*handlers]}


def handed(how: str, mission: str | None = None) -> RunnableConfig:
    """Have a call recorded by a handler that it is handed.

    Before Python 3.11 LangChain does not hand it on under asyncio, inside of a graph's node: there by `instrument`.
    """
    if sys.version_info < (3, 11) and how.startswith("a"):
        mt.instrument("langchain", mission=mission)
        return {}
    return through(MissionCallbackHandler(mission))


def question(text: str = "How much?") -> Any:
    """Make an agent's input."""
    return {"messages": [HumanMessage(text)]}


def hand_written(asked: str, answers: Sequence[AIMessage | str], config: Any = None) -> str:
    """Run a loop as people write it: ask the model, call its tools, tell it what they gave, until it is done."""
    chat = model(*answers)
    said: list[BaseMessage] = [HumanMessage(asked)]
    while True:
        answer = chat.invoke(said, config)
        said.append(answer)
        if not getattr(answer, "tool_calls", None):
            return str(answer.content)
        for call in answer.tool_calls:
            try:
                said.append(TOOLS[call["name"]].invoke(call, config))
            except ValueError as error:
                said.append(ToolMessage(str(error), tool_call_id=call["id"], status="error"))
