"""The shape of the package: imports go down, nothing circles, files stay small, and what is exported is meant."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mission_tracer as mt

PACKAGE = Path(mt.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

LAYERS: list[set[str]] = [
    {"_version", "errors", "models", "settings"},
    {"_context", "_base"},
    {"facts", "_redact", "_capture"},
    {"_api"},
    {"_planning"},
    {"_disk", "client"},
    {"_sending", "dead"},
    {"_recording", "recorder"},
    {"_calls", "_handles", "plans", "steps", "tools", "runs"},
    {"_scopes", "opening", "decorators", "propagation"},
    {"instrument", "integrations", "testing", "pytest_plugin"},
    {"__init__", "server", "cli", "demo", "__main__"},
]
"""From the ground up: a module imports its own layer and those before it."""

# The optional or slow parts, reached when they are first needed: who may import them inside a function.
LAZY = {
    ("mission_tracer._recording.recorder", "mission_tracer._capture"),
    ("mission_tracer._recording.recorder", "mission_tracer._redact"),
    ("mission_tracer._recording.recorder", "mission_tracer._recording.delivery"),
    ("mission_tracer._recording.delivery", "mission_tracer._sending.transport"),
    ("mission_tracer._calls.callables", "mission_tracer._calls.stand_ins"),
    ("mission_tracer.instrument", "mission_tracer.recorder"),
    ("mission_tracer.recorder", "mission_tracer._recording.signals"),
}


def layer_of(module: str) -> int:
    top = module.removeprefix("mission_tracer").removeprefix(".").partition(".")[0] or "__init__"
    found = [number for number, layer in enumerate(LAYERS) if top in layer]
    assert found, f"{module} is in no layer: add it to LAYERS"
    return found[0]


def imports(path: Path) -> list[tuple[str, bool]]:
    """List the modules of ours that a file imports, and whether inside a function."""
    tree = ast.parse(path.read_text())
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for node in ast.walk(block)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import hides which module is meant"
            assert node.module is not None
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.append((full if full in MODULES else node.module, id(node) in inside))
    return [(name, where) for name, where in found if name.split(".")[0] == "mission_tracer"]


@pytest.mark.parametrize("module", MODULES)
def test_imports_only_go_down(module: str) -> None:
    """A module imports only from its own layer and from those below."""
    for name, _ in imports(MODULES[module]):
        assert layer_of(name) <= layer_of(module), f"{module} imports {name}, which is above it"


def test_no_circles() -> None:
    """No module reaches itself by following imports."""
    graph = {module: {name for name, _ in imports(path) if name in MODULES} for module, path in MODULES.items()}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module not in done:
            for name in sorted(graph[module] - {module}):
                visit(name, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("module", MODULES)
def test_no_import_of_ourselves_inside_a_function(module: str) -> None:
    """Nothing of ours is imported inside a function, but the slow and optional parts that are named here."""
    for name, inside in imports(MODULES[module]):
        allowed = (
            not inside or (module, name) in LAZY or module.startswith(("mission_tracer.cli", "mission_tracer.__main__"))
        )
        assert allowed, f"{module} imports {name} inside a function"


@pytest.mark.parametrize("module", MODULES)
def test_every_file_is_on_the_page(module: str) -> None:
    """docs/architecture.md names every file, the one that it is a part of, or a folder that is one subject."""
    page = (Path(__file__).parent.parent / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`(\w+)[/*]?`", page))
    first, *inside = module.split(".")[1:] or [""]
    name = inside[0] if inside and first not in {"_capture", "_redact", "integrations", "server", "cli"} else first
    assert not name or any(name == known or name.startswith(f"{known}_") for known in named)


@pytest.mark.parametrize("module", MODULES)
def test_files_stay_small(module: str) -> None:
    """A file is one subject, in at most 400 lines."""
    assert len(MODULES[module].read_text().splitlines()) <= 400


def test_exports_are_meant() -> None:
    """What the package exports is listed and exists; nothing else is public by accident."""
    assert len(set(mt.__all__)) == len(mt.__all__)
    for name in mt.__all__:
        assert getattr(mt, name) is not None
    modules = {name.split(".")[1] for name in MODULES if name.count(".") == 1}
    public = {name for name in vars(mt) if name.isidentifier() and not name.startswith("_")} - modules
    assert public - set(mt.__all__) <= {
        "annotations",
        "importlib",
        "os",
        "Any",
        "TYPE_CHECKING",
    }


def test_row_23_importing_is_light() -> None:
    """What a decorated program imports brings no HTTP client, no logging library, no server, no framework."""
    heavy = (
        "httpx",
        "structlog",
        "starlette",
        "uvicorn",
        "click",
        "rich",
        "langchain_core",
        "openai",
        "opentelemetry",
        "pytest",
    )
    code = "import sys; from mission_tracer import Run, mission_run, plan_step, tool_call; "
    code += f"print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
