"""The OpenAI Agents SDK: real loops over models that answer from a script, and what is recorded of them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("agents")

import httpx2
from agents import (
    Agent,
    GuardrailFunctionOutput,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    function_tool,
    input_guardrail,
)
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from agents.tracing import (
    TracingProcessor,
    add_trace_processor,
    custom_span,
    get_trace_provider,
    set_trace_processors,
    speech_span,
    trace,
    transcription_span,
)
from openai import AsyncOpenAI

import mission_tracer as mt
from mission_tracer import _context, recorder
from mission_tracer._base.ownership import Rank, may_record
from mission_tracer.integrations._coverage import is_covered
from mission_tracer.integrations.openai_agents import MissionTracingProcessor
from mission_tracer.settings import Settings

from .telling import payloads, runs, tell

Journal = Callable[[], list[Any]]
REDACTED = "ToolError: Error running tool (non-fatal): Tool execution failed. Error details are redacted."


@pytest.fixture(autouse=True)
def processors() -> Iterator[None]:
    """Keep the SDK's own processor, which sends to OpenAI, out of the tests."""
    set_trace_processors([])
    yield
    set_trace_processors([])


@pytest.fixture
def processor() -> MissionTracingProcessor:
    mt.configure(strict=True)
    made = MissionTracingProcessor()
    add_trace_processor(made)
    return made


@function_tool
def add(a: int, b: int) -> int:
    return a + b


@function_tool
async def fail(why: str) -> str:
    raise ValueError(why)


@function_tool(failure_error_function=None)
def explode() -> str:
    raise ValueError("no fuse")


def completion(content: str | None = None, calls: list[tuple[str, str, str]] | None = None) -> dict[str, Any]:
    listed = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for call_id, name, arguments in calls or []
    ]
    message = {"role": "assistant", "content": content, **({"tool_calls": listed} if listed else {})}
    return {
        "id": "chat",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-x",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if listed else "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


TWO_CALLS = completion(calls=[("c1", "add", '{"a": 1, "b": 2}'), ("c2", "fail", '{"why": "no road"}')])


def client_of(answers: list[dict[str, Any]], seen: list[Any] | None = None) -> AsyncOpenAI:
    """Make a client of the real library whose server answers from a script."""
    left = list(answers)

    def answer(request: httpx2.Request) -> httpx2.Response:
        if seen is not None:
            seen.append(may_record(Rank.CLIENT))
        return httpx2.Response(200, json=left.pop(0))

    transport = httpx2.MockTransport(answer)
    return AsyncOpenAI(api_key="none", http_client=httpx2.AsyncClient(transport=transport), max_retries=0)


def chat_model(answers: list[dict[str, Any]], seen: list[Any] | None = None) -> OpenAIChatCompletionsModel:
    return OpenAIChatCompletionsModel(model="gpt-x", openai_client=client_of(answers, seen))


def scripted(*steps: Any) -> ScriptedModel:
    return ScriptedModel(steps, emit_traces=True)


def run(agent: Agent[Any], **options: Any) -> Any:
    return asyncio.run(Runner.run(agent, "go", **options)).final_output


def calculator() -> Agent[Any]:
    return Agent(name="Calculator", model=chat_model([TWO_CALLS, completion("It is 3.")]), tools=[add, fail])


LOOP = [
    ("run_opened", "Agent workflow"),
    ("step_entered", "Calculator", None),
    ("message", "Calculator", "calls tools add, fail"),
    ("tool_call", "Calculator", "add(a=1, b=2)"),
    ("tool_call", "Calculator", "fail(why='no road')"),
    ("error", "Calculator", REDACTED),
    ("tool_result", "Calculator", "add: 3"),
    ("message", "Calculator", "It is 3."),
    ("step_left", "Calculator", "completed"),
    ("run_closed", "succeeded", {"result": "It is 3."}),
]


def test_a_loop_is_recorded_whole(journal: Journal, processor: MissionTracingProcessor) -> None:
    """A trace is a run, its agent a step; every answer, call, result and error is there once, with what it said."""
    assert run(calculator()) == "It is 3."
    facts = journal()
    # The two tools run side by side: which of them ends first is theirs to say.
    assert sorted(map(repr, tell(facts))) == sorted(map(repr, LOOP))
    assert tell(facts)[:5] == LOOP[:5]
    assert tell(facts)[-3:] == LOOP[-3:]
    usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    assert payloads(facts, "message") == [
        {
            "model": "gpt-x",
            "tool_calls": [
                {"id": "c1", "name": "add", "arguments": {"a": 1, "b": 2}},
                {"id": "c2", "name": "fail", "arguments": {"why": "no road"}},
            ],
            "usage": usage,
        },
        {"model": "gpt-x", "text": "It is 3.", "usage": usage},
    ]
    calls = payloads(facts, "tool_call")
    [result] = payloads(facts, "tool_result")
    [error] = payloads(facts, "error")
    assert [call["arguments"] for call in calls] == [{"a": 1, "b": 2}, {"why": "no road"}]
    assert [call["call_id"] for call in calls] == [result["call_id"], error["call_id"]] == ["c1", "c2"]
    assert result["result"] == 3


@pytest.mark.parametrize("fails", [False, True])
def test_a_decorated_function_that_is_a_tool_is_one_call(
    journal: Journal, processor: MissionTracingProcessor, fails: bool
) -> None:
    """A function with both decorators is one call, with the model's id, and its error is the one that it raised."""

    @function_tool
    @mt.tool_call
    def look_up(name: str) -> str:
        if fails:
            raise KeyError(name)
        return name

    asked = completion(calls=[("c1", "look_up", '{"name": "Ann"}')])
    run(Agent(name="Scout", model=chat_model([asked, completion("Done.")]), tools=[look_up]))
    assert tell(journal())[3:5] == [
        ("tool_call", "Scout", "look_up(name='Ann')"),
        ("error", "Scout", "KeyError: 'Ann'") if fails else ("tool_result", "Scout", "look_up: Ann"),
    ]
    assert [line[0] for line in tell(journal())[5:]] == ["message", "step_left", "run_closed"]
    assert payloads(journal(), "error" if fails else "tool_result")[0]["call_id"] == "c1"


def test_calls_that_are_asked_for_twice_have_an_id_each(journal: Journal, processor: MissionTracingProcessor) -> None:
    """Equal calls of one answer have the ids that the model gave them; one it is not known to have asked for, ours."""
    asked = [("c1", "add", '{"a": 1, "b": 2}'), ("c2", "add", '{"b": 2, "a": 1}')]
    model = chat_model([completion(calls=asked), completion("It is 3.")])
    run(Agent(name="Calculator", model=model, tools=[add]))
    model = scripted([function_call("add", '{"a": 1, "b": 2}', call_id="c3")], [assistant_message("done")])
    run(Agent(name="Silent", model=model, tools=[add]))
    ids = [payload["call_id"] for payload in payloads(journal(), "tool_call")]
    assert ids[:2] == ["c1", "c2"]
    assert ids[2] not in {"c1", "c2", "c3"}


def test_a_loop_reaches_the_api(api: Any) -> None:
    """What a loop records arrives at the API: a succeeded run, a completed step, every event linked to it."""
    mt.instrument("openai-agents")
    run(calculator(), run_config=RunConfig(workflow_name="Add numbers"))
    assert mt.flush(10)
    found = api.only_run()
    assert found["run"].status == "succeeded"
    assert found["run"].result_summary == "It is 3."
    assert [(step.step_id, step.status) for step in found["steps"]] == [("Calculator", "completed")]
    kinds = [event.type for event in found["events"]]
    assert sorted(kinds) == sorted(
        ["step_started", "message", "tool_call", "tool_call", "error", "tool_result", "message", "step_completed"]
    )
    assert {event.step_id for event in found["events"]} == {"Calculator"}
    assert [mission["mission"].name for mission in api.tree()] == ["Add numbers"]


def test_a_response_is_read(journal: Journal, processor: MissionTracingProcessor) -> None:
    """An answer of the Responses API is a message with its text, its calls and its usage."""
    items = [
        {"type": "reasoning", "id": "r1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "web_search_call", "id": "w1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "function_call", "id": "f1", "call_id": "c1", "name": "add", "arguments": '{"a": 1, "b": 2}'},
    ]
    text = {"type": "output_text", "text": "It is 3.", "annotations": []}
    message = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [text]}
    answers = [
        {
            "id": f"resp{number}",
            "object": "response",
            "created_at": 1,
            "model": "gpt-x",
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": {
                "input_tokens": 7,
                "output_tokens": 3,
                "total_tokens": 10,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
            },
        }
        for number, output in enumerate([items, [message]])
    ]
    model = OpenAIResponsesModel(model="gpt-x", openai_client=client_of(answers))
    assert run(Agent(name="A", model=model, tools=[add])) == "It is 3."
    first, second = payloads(journal(), "message")
    assert first == {
        "model": "gpt-x",
        "provider": "openai",
        "tool_calls": [
            {"id": "w1", "name": "web_search", "arguments": {}},
            {"id": "c1", "name": "add", "arguments": {"a": 1, "b": 2}},
        ],
        "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
    }
    assert second["text"] == "It is 3."


def test_a_streamed_loop_is_recorded_the_same(journal: Journal, processor: MissionTracingProcessor) -> None:
    """A streamed run is recorded as one that is not."""

    async def main() -> str:
        model = scripted([function_call("add", '{"a": 1, "b": 2}', call_id="c1")], [assistant_message("done")])
        result = Runner.run_streamed(Agent(name="A", model=model, tools=[add]), "go")
        async for _ in result.stream_events():
            pass
        assert _context.current() is None
        return str(result.final_output)

    assert asyncio.run(main()) == "done"
    assert tell(journal()) == [
        ("run_opened", "Agent workflow"),
        ("step_entered", "A", None),
        ("message", "A", "the model answered"),
        ("tool_call", "A", "add(a=1, b=2)"),
        ("tool_result", "A", "add: 3"),
        ("message", "A", "the model answered"),
        ("step_left", "A", "completed"),
        ("run_closed", "succeeded", None),
    ]


def test_a_streamed_chat_answer_is_read(journal: Journal, processor: MissionTracingProcessor) -> None:
    """The answer of a streamed chat completion is a message with its whole text."""
    chunks = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "It is "}}]},
        {"choices": [{"index": 0, "delta": {"content": "3."}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}},
    ]
    about = {"id": "chat", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}
    body = "".join(f"data: {json.dumps({**about, **chunk})}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(200, text=body, headers={"content-type": "text/event-stream"})
    )
    client = AsyncOpenAI(api_key="none", http_client=httpx2.AsyncClient(transport=transport))

    async def main() -> None:
        model = OpenAIChatCompletionsModel(model="gpt-x", openai_client=client)
        settings = ModelSettings(include_usage=True)
        result = Runner.run_streamed(Agent(name="A", model=model, model_settings=settings), "go")
        async for _ in result.stream_events():
            pass

    asyncio.run(main())
    [message] = payloads(journal(), "message")
    assert message["text"] == "It is 3."
    assert message["usage"] == {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}


def test_an_error_that_surfaces_three_times_is_logged_once(
    journal: Journal, processor: MissionTracingProcessor
) -> None:
    """What a tool raises fails call, step and run, is logged once, and reaches the caller unchanged."""
    model = scripted([function_call("explode", "{}", call_id="c1")])
    with pytest.raises(Exception, match="no fuse") as caught:
        run(Agent(name="A", model=model, tools=[explode]))
    assert isinstance(caught.value.__cause__, ValueError)
    said = "agents.exceptions.UserError: Error running tool explode: no fuse"
    assert tell(journal()) == [
        ("run_opened", "Agent workflow"),
        ("step_entered", "A", None),
        ("message", "A", "the model answered"),
        ("tool_call", "A", "explode()"),
        ("error", "A", said),
        ("step_left", "A", "failed"),
        ("run_closed", "failed", said),
    ]
    [error] = payloads(journal(), "error")
    assert error["error"]["cause"]["message"] == "no fuse"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_failing_model_is_logged_once(journal: Journal, processor: MissionTracingProcessor, streamed: bool) -> None:
    """What a model raises is logged once, where it came up, and fails step and run."""

    async def main() -> None:
        agent = Agent(name="A", model=scripted(ModelStep.raise_error(RuntimeError("down"))))
        if not streamed:
            await Runner.run(agent, "go")
        async for _ in Runner.run_streamed(agent, "go").stream_events():
            pass

    with pytest.raises(RuntimeError, match="down"):
        asyncio.run(main())
    assert tell(journal()) == [
        ("run_opened", "Agent workflow"),
        ("step_entered", "A", None),
        ("error", "A", "RuntimeError: down"),
        ("step_left", "A", "failed"),
        ("run_closed", "failed", "RuntimeError: down"),
    ]


def test_handoffs_are_events(journal: Journal, processor: MissionTracingProcessor) -> None:
    """A handoff is a custom event of the agent that hands off; the next agent is a step beside it."""
    second = Agent(name="Second", model=scripted([assistant_message("hello")]))
    model = scripted([function_call("transfer_to_second", "{}", call_id="c1")])
    assert run(Agent(name="First", model=model, handoffs=[second])) == "hello"
    assert tell(journal())[1:-1] == [
        ("step_entered", "First", None),
        ("message", "First", "the model answered"),
        ("custom", "First", "Handoff from First to Second"),
        ("step_left", "First", "completed"),
        ("step_entered", "Second", None),
        ("message", "Second", "the model answered"),
        ("step_left", "Second", "completed"),
    ]


def test_guardrails_are_events(journal: Journal, processor: MissionTracingProcessor) -> None:
    """A guardrail is a custom event that says whether it was triggered; the error it raises is logged once."""

    @input_guardrail
    async def polite(context: Any, agent: Any, given: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)

    with pytest.raises(Exception, match="tripwire"):
        run(Agent(name="A", model=scripted([assistant_message("x")]), input_guardrails=[polite]))
    told = tell(journal())
    assert ("custom", "A", "Guardrail polite was triggered") in told
    assert [line[0] for line in told].count("error") == 1
    assert told[-1][:2] == ("run_closed", "failed")


def test_an_agent_as_a_tool_is_a_step_inside(journal: Journal, processor: MissionTracingProcessor) -> None:
    """An agent that is called as a tool is a step inside its caller's, between the call and its result."""
    inner = Agent(name="Inner", model=scripted([assistant_message("42")]))
    model = scripted([function_call("ask", '{"input": "q"}', call_id="c1")], [assistant_message("ok")])
    run(Agent(name="Outer", model=model, tools=[inner.as_tool("ask", "Ask the other one")]))
    assert tell(journal())[3:-3] == [
        ("tool_call", "Outer", "ask(input='q')"),
        ("step_entered", "Inner", "Outer"),
        ("message", "Inner", "the model answered"),
        ("step_left", "Inner", "completed"),
        ("tool_result", "Outer", "ask: 42"),
    ]


def test_a_trace_inside_a_run_is_a_part_of_it(journal: Journal, processor: MissionTracingProcessor) -> None:
    """With a run under way a trace opens none: its agents are steps inside the current one."""
    with mt.mission_run("Outer"), mt.plan_step("thinking"):
        run(Agent(name="A", model=scripted([assistant_message("done")])))
    assert tell(journal()) == [
        ("run_opened", "Outer"),
        ("step_entered", "thinking", None),
        ("step_entered", "A", "thinking"),
        ("message", "A", "the model answered"),
        ("step_left", "A", "completed"),
        ("step_left", "thinking", "completed"),
        ("run_closed", "succeeded", None),
    ]


def test_an_error_that_leaves_a_run_of_the_user_is_logged_once(
    journal: Journal, processor: MissionTracingProcessor
) -> None:
    """An error that fails the agent inside a run of the user's, and then that run, is logged once."""
    agent = Agent(name="A", model=scripted(ModelStep.raise_error(RuntimeError("down"))))
    with pytest.raises(RuntimeError), mt.mission_run("Outer"):
        run(agent)
    assert [line for line in tell(journal()) if line[0] == "error"] == [("error", "A", "RuntimeError: down")]
    assert tell(journal())[-1] == ("run_closed", "failed", "RuntimeError: down")


def test_what_tools_record_stands_inside(journal: Journal, processor: MissionTracingProcessor) -> None:
    """Events and steps of a tool's own stand inside the agent's step, after the call, on whatever thread it runs."""

    @function_tool
    def look(where: str) -> str:
        mt.log_event("looking")
        with mt.plan_step("search"):
            return "found"

    model = scripted([function_call("look", '{"where": "here"}', call_id="c1")], [assistant_message("done")])
    run(Agent(name="A", model=model, tools=[look]))
    assert tell(journal())[3:8] == [
        ("tool_call", "A", "look(where='here')"),
        ("custom", "A", "looking"),
        ("step_entered", "search", "A"),
        ("step_left", "search", "completed"),
        ("tool_result", "A", "look: found"),
    ]


def test_several_runs_of_one_trace_are_one_run(journal: Journal, processor: MissionTracingProcessor) -> None:
    """A trace that the user opens around several runs of agents is one run of a mission, with the user's name."""

    async def main() -> None:
        with trace("Two at once", group_id="g1", metadata={"city": "Chicago"}), custom_span("checked", {"score": 1}):
            for name in ("A", "B"):
                await Runner.run(Agent(name=name, model=scripted([assistant_message("done")])), "go")
            mt.log_event("between")

    asyncio.run(main())
    facts = journal()
    assert tell(facts) == [
        ("run_opened", "Two at once"),
        ("step_entered", "A", None),
        ("message", "A", "the model answered"),
        ("step_left", "A", "completed"),
        ("step_entered", "B", None),
        ("message", "B", "the model answered"),
        ("step_left", "B", "completed"),
        ("custom", None, "between"),
        ("custom", None, "checked"),
        ("run_closed", "succeeded", None),
    ]
    about = facts[0].metadata["openai_agents"]
    assert (about["group_id"], about["metadata"]) == ("g1", {"city": "Chicago"})


def test_many_runs_at_once_never_cross(journal: Journal, processor: MissionTracingProcessor) -> None:
    """Twenty traces through one processor at the same time are twenty runs, each with its own events alone."""

    async def main() -> None:
        async def one(number: int) -> None:
            call = function_call("add", json.dumps({"a": number, "b": number}), call_id="c1")
            agent = Agent(name=f"A{number}", model=scripted([call], [assistant_message("done")]), tools=[add])
            await Runner.run(agent, "go", run_config=RunConfig(workflow_name=f"W{number}"))

        await asyncio.gather(*(one(number) for number in range(20)))

    asyncio.run(main())
    found = {lines[0][1]: lines for lines in runs(journal())}
    assert len(found) == 20
    for number in range(20):
        assert found[f"W{number}"][1:-1] == [
            ("step_entered", f"A{number}", None),
            ("message", f"A{number}", "the model answered"),
            ("tool_call", f"A{number}", f"add(a={number}, b={number})"),
            ("tool_result", f"A{number}", f"add: {2 * number}"),
            ("message", f"A{number}", "the model answered"),
            ("step_left", f"A{number}", "completed"),
        ]
    assert len(processor._spans) == 0


def test_a_cancelled_run_is_closed(journal: Journal, processor: MissionTracingProcessor) -> None:
    """Cancelling a run closes the tool call and the step that were open, and cancels the run; nothing is kept."""

    async def main() -> None:
        waits = asyncio.Event()

        @function_tool
        async def wait() -> str:
            waits.set()
            await asyncio.Event().wait()
            return ""

        model = scripted([function_call("wait", "{}", call_id="c1")])
        task = asyncio.create_task(Runner.run(Agent(name="A", model=model, tools=[wait]), "go"))
        await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The SDK ends the tool's task after the run.
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    asyncio.run(main())
    cancelled = "asyncio.exceptions.CancelledError"
    assert tell(journal())[3:] == [
        ("tool_call", "A", "wait()"),
        ("error", "A", cancelled),
        ("step_left", "A", "failed"),
        ("run_closed", "cancelled", cancelled),
    ]
    assert len(processor._spans) == 0


def test_a_dropped_trace_is_closed(journal: Journal, processor: MissionTracingProcessor) -> None:
    """A trace that nobody ends is cancelled once nobody has it any more, and the next one is no part of it."""

    def main() -> None:
        begun = trace("Left open")
        begun.start()
        del begun
        gc.collect()
        with trace("Next"):
            pass
        assert _context.current() is None

    contextvars.copy_context().run(main)
    dropped = "mission_tracer.AbandonedError: its span was dropped before it ended"
    assert runs(journal()) == [
        [("run_opened", "Left open"), ("run_closed", "cancelled", dropped)],
        [("run_opened", "Next"), ("run_closed", "succeeded", None)],
    ]
    assert len(processor._spans) == 0


def test_an_error_being_handled_outside_is_not_the_runs(journal: Journal, processor: MissionTracingProcessor) -> None:
    """An agent that runs while another exception is being handled succeeds all the same."""
    try:
        raise KeyError("earlier")
    except KeyError:
        run(Agent(name="A", model=scripted([assistant_message("done")])))
    assert tell(journal())[-1] == ("run_closed", "succeeded", None)


def test_a_run_that_waits_for_approval_goes_on_in_a_second_run(
    journal: Journal, processor: MissionTracingProcessor
) -> None:
    """A run that goes on after an approval tells no start and no end of its trace; it is recorded and ended."""

    @function_tool(needs_approval=True)
    def pay() -> str:
        return "paid"

    async def main() -> str:
        model = scripted([function_call("pay", "{}", call_id="c1")], [assistant_message("done")])
        agent = Agent(name="A", model=model, tools=[pay])
        first = await Runner.run(agent, "go")
        state = first.to_state()
        state.approve(first.interruptions[0])
        return str((await Runner.run(agent, state)).final_output)

    assert asyncio.run(main()) == "done"
    first, second = runs(journal())
    assert first[-1] == ("run_closed", "succeeded", None)
    assert second[0] == ("run_opened", "Agent workflow")
    assert ("tool_result", "A", "pay: paid") in second
    assert second[-1] == ("run_closed", "succeeded", None)
    assert len(processor._spans) == 0


def test_the_calls_of_models_are_owned(processor: MissionTracingProcessor) -> None:
    """Inside a model's call clients leave it to the framework; inside a tool they record."""
    seen: list[bool] = []
    inside: list[bool] = []

    @function_tool
    def look() -> str:
        inside.append(may_record(Rank.CLIENT))
        return "found"

    model = chat_model([completion(calls=[("c1", "look", "{}")]), completion("done")], seen)
    run(Agent(name="A", model=model, tools=[look]))
    assert seen == [False, False]
    assert inside == [True]
    assert may_record(Rank.CLIENT)


def test_the_openai_client_beside_it_records_nothing_more(journal: Journal) -> None:
    """With the integration of the `openai` client on as well, every call of a model is recorded once."""
    mt.configure(strict=True)
    mt.instrument("openai-agents", "openai")
    run(calculator())
    assert sorted(map(repr, tell(journal()))) == sorted(map(repr, LOOP))


def test_the_setting_capture_is_obeyed(journal: Journal) -> None:
    """With the setting `capture` off neither arguments nor results nor texts are kept; names and usage are."""
    mt.configure(strict=True, capture="off")
    mt.instrument("openai-agents")
    run(calculator())
    facts = journal()
    assert sorted(map(repr, tell(facts)[2:-2])) == sorted(
        map(
            repr,
            [
                ("message", "Calculator", "calls tools add, fail"),
                ("tool_call", "Calculator", "add()"),
                ("tool_call", "Calculator", "fail()"),
                ("error", "Calculator", REDACTED),
                ("tool_result", "Calculator", "add returned"),
                ("message", "Calculator", "gpt-x answered"),
            ],
        )
    )
    assert [sorted(payload) for payload in payloads(facts, "message")] == [
        ["model", "tool_calls", "usage"],
        ["model", "usage"],
    ]
    assert "It is 3." not in str(facts)


@pytest.mark.parametrize("mode", ["names", "off"])
def test_the_setting_capture_is_obeyed_by_other_spans(mode: Any, journal: Journal) -> None:
    """What was heard or said, and the data of a span of the program's own, are kept only with `capture` full."""
    mt.configure(strict=True, capture=mode)
    mt.instrument("openai-agents")
    with trace("Talk"):
        with transcription_span(model="m", input="sound", output="secret plan"):
            pass
        with speech_span(model="m", input="secret plan"):
            pass
        with custom_span("checked", {"plan": "secret plan"}):
            pass
    facts = journal()
    assert [line[2] for line in tell(facts)[1:-1]] == ["Heard", "Said", "checked"]
    assert payloads(facts, "custom") == [{"model": "m"}, {"model": "m"}, {"name": "checked"}]


def test_the_programs_own_processors_take_the_place_of_the_sdks_alone(journal: Journal) -> None:
    """`set_trace_processors` replaces what the SDK sends with, and not us; once we are off it replaces everything."""
    mt.configure(strict=True)
    mt.instrument("openai-agents")
    set_trace_processors([])
    run(calculator())
    assert [lines[0] for lines in runs(journal())] == [("run_opened", "Agent workflow")]
    mt.uninstrument("openai-agents")
    assert get_trace_provider()._multi_processor._processors == ()  # type: ignore[attr-defined]
    set_trace_processors([])
    run(calculator())
    assert len(runs(journal())) == 1


def test_nothing_is_recorded_when_recording_is_off(journal: Journal) -> None:
    """A processor of a program that records nothing records nothing."""
    mt.configure(enabled=False)
    add_trace_processor(MissionTracingProcessor())
    assert run(Agent(name="A", model=scripted([assistant_message("done")]))) == "done"
    assert journal() == []


def test_the_mission_can_be_named(journal: Journal) -> None:
    """The mission is the processor's, when it is given one."""
    mt.configure(strict=True)
    mt.instrument("openai-agents", mission="Find window washers")
    run(Agent(name="A", model=scripted([assistant_message("done")])))
    assert tell(journal())[0] == ("run_opened", "Find window washers")


def test_installing_twice_records_once_and_undoing_restores(journal: Journal) -> None:
    """Switched on twice it records once; switched off, the processors that others added are left, and nothing else."""

    class Own(TracingProcessor):
        def on_trace_start(self, trace: Any) -> None:
            pass

        on_trace_end = on_span_start = on_span_end = on_trace_start

        def shutdown(self) -> None:
            pass

        def force_flush(self) -> None:
            pass

    own = Own()
    add_trace_processor(own)
    mt.instrument("openai-agents")
    mt.instrument("openai-agents")
    run(Agent(name="A", model=scripted([assistant_message("done")])))
    assert len(runs(journal())) == 1
    mt.uninstrument("openai-agents")
    assert get_trace_provider()._multi_processor._processors == (own,)
    run(Agent(name="A", model=scripted([assistant_message("done")])))
    assert len(runs(journal())) == 1


def test_switching_off_in_the_middle_closes_what_is_open(journal: Journal) -> None:
    """What is open when the integration is switched off is closed, and what comes after is not recorded."""
    mt.configure(strict=True)
    mt.instrument("openai-agents")
    with trace("Cut short"):
        mt.uninstrument("openai-agents")
    [lines] = runs(journal())
    assert [line[:2] for line in lines] == [("run_opened", "Cut short"), ("run_closed", "cancelled")]


class Broken:
    """Be a trace or span of which nothing can be read."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


HOOKS = ["on_trace_start", "on_trace_end", "on_span_start", "on_span_end"]


@pytest.mark.parametrize("hook", HOOKS)
def test_an_error_in_a_hook_stays_ours(hook: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever goes wrong in a hook is said once and never raised into the program."""
    processor = MissionTracingProcessor()
    getattr(processor, hook)(Broken())
    getattr(processor, hook)(Broken())
    said = [line for line in capsys.readouterr().err.splitlines() if "kept from the program" in line]
    assert len(said) == 1
    assert hook in said[0]


class FullDisk(recorder.Recorder):
    """Be a recorder that fails from some fact on."""

    left = 0

    def put(self, stream: Any, fact: Any) -> None:
        if self.left <= 0:
            raise RuntimeError("the recorder is broken")
        self.left -= 1
        super().put(stream, fact)


@pytest.mark.parametrize("left", range(10))
def test_a_broken_recorder_leaves_the_agent_alone(left: int) -> None:
    """Whichever fact cannot be recorded, the agent's result is the same, and nothing is raised or left behind."""
    broken = FullDisk(Settings.load({"log_level": "off"}))
    broken.left = left
    recorder.replace(broken)
    mt.instrument("openai-agents")
    assert run(calculator()) == "It is 3."
    assert _context.current() is None


def test_flushing_the_sdk_delivers(api: Any) -> None:
    """Flushing the SDK's traces delivers what was recorded."""
    mt.instrument("openai-agents")
    run(Agent(name="A", model=scripted([assistant_message("done")])))
    get_trace_provider().force_flush()
    assert api.only_run()["run"].status == "succeeded"


def test_of_several_processors_one_records(journal: Journal, processor: MissionTracingProcessor) -> None:
    """A program that placed a processor and switched the integration on as well has everything once."""
    mt.instrument("openai-agents")
    assert run(calculator()) == "It is 3."
    kinds = [line[0] for line in tell(journal())]
    assert [kinds.count(kind) for kind in ("run_opened", "step_entered", "tool_call", "message")] == [1, 1, 2, 2]


def test_covers_the_instrumentations_of_the_same_calls() -> None:
    """While the SDK has a processor of ours, what OpenTelemetry instrumentations tell of the same calls is covered."""
    origin = "openinference.instrumentation.openai_agents"
    unused = MissionTracingProcessor()
    assert not is_covered(origin)
    mt.instrument("openai-agents")
    assert is_covered(origin)
    mt.uninstrument("openai-agents")
    assert not is_covered(origin)
    set_trace_processors([unused])
    assert is_covered(origin)
    set_trace_processors([])
    assert not is_covered(origin)
