"""Blocks: `with` and `async with` give the handles."""

from mission_tracer import Run, Step, ToolCall, current_run, current_step, mission_run, plan_step, tool_call


async def use() -> None:
    with mission_run("m", input={"city": "Chicago"}) as run:
        reveal_type(run)
        with plan_step("s") as step, tool_call("t", arguments={"n": 1}) as call:
            reveal_type(step)
            reveal_type(call)
            step.metadata(count=1)
            call.result([1])
        run.succeed("fine", payload={"n": 1})
    async with mission_run() as run, plan_step() as step, tool_call() as call:
        reveal_type((run, step, call))
    reveal_type(mission_run("m"))
    reveal_type(plan_step("s"))
    reveal_type(tool_call("t"))
    reveal_type(current_run())
    reveal_type(current_step())


def returns() -> int:
    with mission_run("m"):
        return 1  # a block swallows no exception: no missing return


def takes(run: Run, step: Step, call: ToolCall) -> None: ...
