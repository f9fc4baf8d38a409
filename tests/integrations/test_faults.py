"""A fault anywhere in what records an integration does not reach the program: every function of ours fails in turn."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import io
import json
import logging
import pkgutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FunctionType
from typing import Any

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("agents")
pytest.importorskip("opentelemetry.sdk.trace")
pytest.importorskip("anthropic")
pytest.importorskip("celery")

import anthropic
import httpx
import httpx2
import openai
import structlog
from agents import Agent, Runner, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call
from agents.tracing import set_trace_processors
from celery import Celery
from langchain_core.runnables import RunnableLambda
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import mission_tracer as mt
from mission_tracer import _context, integrations
from mission_tracer.runs import Run

from .langchain_fakes import add, calls, fail, model, talker
from .service import Service

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ALL = ("langchain", "openai-agents", "otel", "openai", "anthropic", "httpx", "httpx2", "subprocess", "logging")
ALL += ("structlog", "threading", "concurrent.futures", "celery")
MODULES = [found.name for found in pkgutil.iter_modules(integrations.__path__, f"{integrations.__name__}.")]
MODULES += ["mission_tracer.runs", "mission_tracer.steps", "mission_tracer._capture.capture"]
MODULES = [name for name in MODULES if not name.endswith(".pydantic_ai")]  # it only switches spans on

BODIES = {"threads._run", "threads._Body.remove", "_model_calls.ModelCall.finish"}
"""What calls the program's own function, or returns its result: it cannot fail without it.

So does whatever takes a `wrapped`.
"""
SWITCHES = {"install", "install_on", "attach", "require", "wrap", "wrap_path", "undo", "ours", "cover", "add"}
"""What switches on and off; it may say that it cannot."""

CHAT = {"id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-x"}
ANSWER = {
    **CHAT,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}],
}
PIECE = {**CHAT, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "yes"}}]}
MESSAGE = {"id": "m1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "end_turn"}
MESSAGE |= {"content": [{"type": "text", "text": "yes"}], "usage": {"input_tokens": 1, "output_tokens": 1}}


class FaultError(Exception):
    """A fault that was put into us."""


def functions_of(name: str) -> Iterator[tuple[str, FunctionType]]:
    """List the functions of a module and of its classes, as they are below their decorators."""
    module = importlib.import_module(name)
    owners = [module, *(each for each in vars(module).values() if inspect.isclass(each))]
    for owner in owners:
        prefix = "" if owner is module else f"{owner.__name__}."
        for key, value in list(vars(owner).items()):
            function = inspect.unwrap(getattr(value, "__func__", value)) if callable(value) else None
            told = f"{name.rpartition('.')[2]}.{prefix}{key}"
            if (
                isinstance(function, FunctionType)
                and function.__module__ == name
                and function.__closure__ is None
                and not inspect.iscoroutinefunction(function)
                and not inspect.isgeneratorfunction(function)
                and not inspect.isasyncgenfunction(function)
                and not key.startswith("__")
                and "wrapped" not in inspect.signature(function).parameters
                and key not in SWITCHES
                and told not in BODIES
            ):
                yield told, function


def fault(*_: Any, **__: Any) -> Any:
    """Fail, in place of a function's own code."""
    raise RuntimeError("a fault of ours")


@contextlib.contextmanager
def failing(function: FunctionType) -> Iterator[None]:
    """Have a function fail, whoever refers to it and whatever guards it."""
    code = function.__code__
    function.__code__ = fault.__code__
    try:
        yield
    finally:
        function.__code__ = code


# ---- what a program does ----


def by_langchain() -> Any:
    def loop(question: str) -> list[str]:
        turns, said = model(calls(("add", {"a": 1, "b": 2})), calls(("fail", {"why": "no road"})), "It is 3."), []
        for tool in (add, fail, None):
            answer = turns.invoke(question)
            with contextlib.suppress(ValueError):
                said.append(answer.content if tool is None else tool.invoke(answer.tool_calls[0]).content)
        return said

    async def awaited() -> Any:
        return await RunnableLambda(loop).ainvoke("How much?"), [
            part async for part in RunnableLambda(loop).astream("")
        ]

    said = [part.content for part in talker().stream("And?")]
    return RunnableLambda(loop).invoke("How much?"), said, asyncio.run(awaited())


def by_agents() -> Any:
    @function_tool
    def look(city: str) -> str:
        return city

    @function_tool(failure_error_function=None)
    async def dial(number: str) -> str:
        raise ConnectionError(number)

    asked = [function_call("look", '{"city": "Chicago"}', call_id="c1")]
    good = ScriptedModel([asked, [assistant_message("done")]], emit_traces=True)
    bad = ScriptedModel([[function_call("dial", '{"number": "1"}', call_id="c2")]], emit_traces=True)
    try:
        asyncio.run(Runner.run(Agent(name="Bad", model=bad, tools=[dial]), "go"))
    except Exception as error:
        failed = str(error)
    return asyncio.run(Runner.run(Agent(name="Good", model=good, tools=[look]), "go")).final_output, failed


def by_spans(provider: TracerProvider) -> Any:
    tracer, operation = provider.get_tracer("test"), "gen_ai.operation.name"
    with tracer.start_as_current_span("agent", attributes={operation: "invoke_agent"}) as span:
        with tracer.start_as_current_span("chat", attributes={operation: "chat"}) as chat:
            chat.set_attribute("gen_ai.output.messages", json.dumps([{"parts": [{"type": "text", "content": "yes"}]}]))
        with tracer.start_as_current_span("late") as late:
            late.set_attribute("openinference.span.kind", "TOOL")
        with contextlib.suppress(ValueError), tracer.start_as_current_span("t", attributes={operation: "execute_tool"}):
            raise ValueError
        return trace.get_current_span() is span, provider.force_flush(10)


def by_clients() -> Any:
    messages: list[Any] = [{"role": "user", "content": "?"}]
    told = [json.loads(json.dumps(ANSWER)), [PIECE, PIECE], 401]
    http = httpx2.Client(transport=httpx2.MockTransport(Service(*told)))
    chat = openai.OpenAI(api_key="k", http_client=http, max_retries=0).chat.completions
    asked: Any = {"model": "gpt-x", "messages": messages}
    said: list[Any] = [chat.create(**asked).id, len(list(chat.create(**asked, stream=True)))]
    try:
        chat.create(**asked)
    except openai.AuthenticationError:
        said.append("refused")
    http = httpx2.Client(transport=httpx2.MockTransport(Service(MESSAGE)))
    claude = anthropic.Anthropic(api_key="k", http_client=http)
    return [*said, claude.messages.create(model="claude-x", max_tokens=9, messages=messages).id]


def by_hand() -> Any:
    client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, text=request.url.path)))
    said: list[Any] = [client.get("http://washers.example/x?api_key=1").text]
    said.append(subprocess.run([sys.executable, "-S", "-c", "raise SystemExit(3)"], check=False).returncode)
    thread = threading.Thread(target=said.append, args=["thread"])
    thread.start()
    thread.join()
    with ThreadPoolExecutor(1) as pool:
        return [*said, pool.submit(str, 1).result()]


def by_logging() -> Any:
    output = io.StringIO()
    logger, handler = logging.getLogger("tests.faults"), logging.StreamHandler(output)
    logger.addHandler(handler)
    logger.propagate = False
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory(output)
    )
    try:
        for number in range(3):
            logger.warning("line %d", number)
        try:
            raise ValueError("x")
        except ValueError as error:
            logger.error("failed: %s", error, exc_info=error)
            structlog.get_logger().exception("failed")
        structlog.get_logger().info("said", number=1)
    finally:
        logger.removeHandler(handler)
        structlog.reset_defaults()
    return [line for line in output.getvalue().splitlines() if line.startswith(("line", "failed", "{"))]


def by_celery() -> Any:
    app = Celery("faults", broker="memory://", backend="cache+memory://", set_as_current=False)

    @app.task(name="faults.double")
    def double(number: int) -> int:
        return 2 * number

    @app.task(name="faults.fail", bind=True, max_retries=1)
    def fail(self: Any) -> None:
        raise self.retry(exc=ValueError("no"), countdown=0)

    sent = double.apply_async([1])
    return type(sent).__name__, double.apply([2]).get(), str(fail.apply().result)


@pytest.fixture
def loops(isolation: None) -> Iterator[list[Callable[[], Any]]]:
    """Everything is on; what a program does with it."""
    mt.configure(log_level="off", export="otel")
    set_trace_processors([])
    provider = TracerProvider(shutdown_on_exit=False)
    mt.instrument(*ALL, provider=provider, window=0)
    yield [by_langchain, by_agents, lambda: by_spans(provider), by_clients, by_hand, by_logging, by_celery]
    mt.uninstrument()
    set_trace_processors([])


def forget() -> None:
    """Set back what a function that was to set it back could not."""
    _context.scope.set(None)
    _context.owner.set(None)


@pytest.mark.filterwarnings("ignore")  # what is left open where closing it failed
@pytest.mark.parametrize("name", MODULES, ids=lambda name: name.rpartition(".")[2])
def test_whatever_of_ours_fails_the_program_does_what_it_does(loops: list[Callable[[], Any]], name: str) -> None:
    """Each function of a module fails in turn, outside of a run and inside of one; every result stays what it is."""
    mt.uninstrument()
    expected = [loop() for loop in loops]
    mt.instrument(*ALL, window=0)
    wrong = []
    for told, function in functions_of(name):
        for inside in (False, True):
            with contextlib.ExitStack() as stack:
                if inside:
                    stack.enter_context(mt.mission_run("m"))
                with failing(function):
                    for number, loop in enumerate(loops):
                        try:
                            if loop() != expected[number]:
                                wrong.append(f"{told}: another result of {number}")
                        except Exception as error:
                            wrong.append(f"{told}: {error!r} in {number}")
            forget()
    assert not wrong, "\n".join(wrong)
    assert isinstance(mt.mission_run("m").__enter__(), Run)
    forget()
