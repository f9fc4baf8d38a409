"""An agent that is watched by every integration at once; run as a script, with `run` or `alone` as its argument."""

from __future__ import annotations

import http.server
import json
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import httpx
import openai
import requests
import structlog
from langchain.agents import create_agent
from langchain_core.tools import ToolException, tool
from langchain_openai import ChatOpenAI
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import mission_tracer as mt

USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
CALLS = [("search", {"city": "Chicago"}), ("dial", {"number": "1"})]


class Handler(http.server.BaseHTTPRequestHandler):
    """OpenAI, Anthropic and a search engine at once."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer({"hits": ["ABC"]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/messages"):
            usage = {"input_tokens": 3, "output_tokens": 4}
            content = [{"type": "text", "text": "claude answered"}]
            about = {"id": "m1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn"}
            self._answer({**about, "content": content, "usage": usage})
            return
        self._answer(self._completion(asked["messages"]))

    def _completion(self, messages: list[Any]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "openai answered"}
        if messages[0]["content"] == "loop":
            turn = sum(m["role"] == "tool" for m in messages)
            message["content"] = "ABC is best"
            if turn < len(CALLS):
                name, arguments = CALLS[turn]
                function = {"name": name, "arguments": json.dumps(arguments)}
                message |= {
                    "content": None,
                    "tool_calls": [{"id": f"t{turn}", "type": "function", "function": function}],
                }
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        about = {"id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-test"}
        return {**about, "choices": [choice], "usage": USAGE}

    def _answer(self, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None: ...


def switch_everything_on() -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    logging.basicConfig(level=logging.INFO, format="%(mission_run)s %(message)s")
    provider = TracerProvider()
    trace.set_tracer_provider(provider)
    LangChainInstrumentor().instrument(tracer_provider=provider)
    mt.configure(strict=True, log_level="error")
    mt.instrument("logging", "structlog", window=0, ids=True)
    mt.instrument("langchain", "otel", "openai", "anthropic", "httpx", "httpx2", "requests", "subprocess")
    mt.instrument("threading", "concurrent.futures")


def main(how: str, url: str) -> None:
    log, structured = logging.getLogger("agent"), structlog.get_logger("agent.structured")

    @tool
    def search(city: str) -> str:
        """Find contractors."""
        log.info("searching in %s", city)
        httpx.get(f"{url}/inside-of-a-tool")
        return "ABC"

    @tool
    def dial(number: str) -> str:
        """Call a number."""
        structured.warning("dialling", number=number)
        raise ToolException("no line is free")

    dial.handle_tool_error = True

    def by_thread() -> None:
        log.info("in a thread")
        requests.get(f"{url}/in-a-thread", timeout=10)

    model = ChatOpenAI(model="gpt-test", base_url=f"{url}/v1", api_key="sk-test")  # type: ignore[arg-type]
    agent = create_agent(model, [search, dial], name="quotes")

    def work() -> None:
        log.info("starting")
        agent.invoke({"messages": [("user", "loop")]})
        if how == "alone":
            return
        with mt.plan_step("by hand"):
            direct = openai.OpenAI(base_url=f"{url}/v1", api_key="sk-test").chat.completions
            direct.create(model="gpt-test", messages=[{"role": "user", "content": "who?"}])
            asked: list[Any] = [{"role": "user", "content": "who?"}]
            anthropic.Anthropic(base_url=url, api_key="k").messages.create(model="claude", max_tokens=9, messages=asked)
            httpx.get(f"{url}/outside-of-a-tool?api_key=hunter2")
            subprocess.run([sys.executable, "-c", ""], check=True)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(by_thread).result()
        structured.info("done", quotes=1)

    if how == "run":
        with mt.mission_run("everything"):
            work()
    else:
        work()


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    switch_everything_on()
    main(sys.argv[1], f"http://127.0.0.1:{server.server_port}")
