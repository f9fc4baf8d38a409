"""Mistakes: wrong arguments of the decorators, and of what they decorate, are reported; nothing else is."""

from mission_tracer import log_event, mission_run, plan_step, tool_call


@mission_run
def agent(city: str, *, limit: int = 5) -> dict[str, int]:
    return {}


@plan_step("named")
async def step(one: int) -> str:
    return ""


class Tool:
    @tool_call
    def method(self, one: int) -> str:
        return ""

    @tool_call
    @classmethod
    def of_class(cls, one: int) -> str:
        return ""

    @tool_call
    @staticmethod
    def static(one: int) -> str:
        return ""


agent()
agent(1)
agent("Chicago", limit="many")
agent("Chicago", 5)
agent("Chicago", unknown=1)
result: list[str] = agent("Chicago")
step("one")
text: str = step(1)
Tool().method()
Tool().method("one")
Tool.of_class("one")
Tool.static("one")

mission_run(7)
mission_run("m", plan=[1])
mission_run("m", plna=["a"])
mission_run("m", input=[1])
plan_step("s", repeat="sometimes")
plan_step("s", description=1)
tool_call("t", arguments=1)
log_event(1)
log_event("x", payload=[1])

with mission_run("m") as run:
    run.log_event()
    run.succeed(1)
    run.unknown()
with plan_step("s") as entered:
    entered.metadata(1)
