"""Members of classes: decorated, they have the type they had."""

import abc
import dataclasses
from typing import Protocol

from typing_extensions import Self, override

from mission_tracer import mission_run, plan_step, tool_call


class Agent:
    @mission_run
    def method(self, one: int) -> str:
        return ""

    @plan_step("named")
    async def later(self, one: int) -> Self:
        return self

    @tool_call
    @classmethod
    def class_above(cls, one: int) -> str:
        return ""

    @classmethod
    @tool_call
    def class_below(cls, one: int) -> str:
        return ""

    @tool_call("named")
    @classmethod
    def class_above_with_arguments(cls, one: int) -> str:
        return ""

    @tool_call
    @staticmethod
    def static_above(one: int) -> str:
        return ""

    @staticmethod
    @tool_call
    def static_below(one: int) -> str:
        return ""

    @plan_step("named")
    @staticmethod
    def static_above_with_arguments(one: int) -> str:
        return ""

    @property
    @tool_call
    def value(self) -> int:
        return 1

    @plan_step
    def __call__(self, one: int) -> bytes:
        return b""


class Child(Agent):
    @override
    @mission_run
    def method(self, one: int) -> str:
        return super().method(one)


class Base(abc.ABC):
    @plan_step
    @abc.abstractmethod
    def act(self, one: int) -> str: ...


class Acts(Protocol):
    def method(self, one: int) -> str: ...


@dataclasses.dataclass
class Data:
    one: int

    @plan_step
    def double(self, *, times: int = 2) -> int:
        return self.one * times


async def use(agent: Agent, child: Child) -> None:
    reveal_type(agent.method)
    reveal_type(Agent.method)
    reveal_type(agent.later)
    reveal_type(await child.later(1))
    reveal_type(Agent.class_above)
    reveal_type(agent.class_below)
    reveal_type(Agent.class_above_with_arguments(1))
    reveal_type(Agent.static_above)
    reveal_type(agent.static_below(1))
    reveal_type(agent.static_above_with_arguments(1))
    reveal_type(agent.value)
    reveal_type(agent(1))
    reveal_type(child.method(1))
    reveal_type(Data(1).double(times=3))
    reveal_type(tool_call(agent))
    reveal_type(tool_call(agent.method))


acts: Acts = Agent()
Base()  # error: abstract
