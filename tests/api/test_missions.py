"""The names, arguments and types of the operations, and their table in the docs, without a server."""

import inspect
import subprocess
import sys
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mission_tracer._api.endpoints import OPERATIONS
from mission_tracer.client import MissionsClient

KEY = "KEY"


@pytest.mark.parametrize("name", [name for name, row in OPERATIONS.items() if row.sdk != row.name])
def test_short_names_are_the_sdk_names(name: str) -> None:
    """Calling an operation by its short name or by the SDK's name is the same."""
    with MissionsClient(KEY) as client:
        short, long = attrgetter(name)(client), attrgetter(OPERATIONS[name].sdk)(client)
    assert short.__wrapped__.__func__ is long.__wrapped__.__func__


@pytest.mark.slow
def test_arguments_are_those_of_the_official_sdk() -> None:
    """Every operation takes the official SDK's arguments, by the same names and in the same positions."""
    telnyx = pytest.importorskip("telnyx")
    extra = {"extra_headers", "extra_query", "extra_body", "timeout"}
    with MissionsClient(KEY) as ours, telnyx.Telnyx(api_key=KEY) as theirs:
        for row in OPERATIONS.values():
            expected = inspect.signature(attrgetter(row.sdk)(theirs.ai)).parameters
            found = inspect.signature(attrgetter(row.sdk)(ours)).parameters
            assert {n: (p.kind, p.default is p.empty) for n, p in expected.items() if n not in extra} == {
                n: (p.kind, p.default is p.empty) for n, p in found.items() if n != "body" or row.request
            }, row.sdk


def test_declared_types_agree_with_the_table() -> None:
    """Every operation's return annotation is the type that its row of the table answers."""
    with MissionsClient(KEY) as client:
        for name, row in OPERATIONS.items():
            declared = inspect.signature(attrgetter(name)(client)).return_annotation
            [inner] = declared.__args__
            if row.answer is None:
                assert inner in ({None, type(None)} if row.status == 204 else {Any}), name
                continue
            [data] = [f.type for f in msgspec.structs.fields(row.answer) if f.name == "data"]
            assert inner == (data.__args__[0] if row.query else data), name


def test_every_operation_is_documented() -> None:
    """The table of names in docs/client.md is the table of operations."""
    lines = (Path(__file__).parents[2] / "docs" / "client.md").read_text().splitlines()
    found = [line for line in lines if line.startswith("| `missions.")]
    expected = []
    for row in OPERATIONS.values():
        long = f"`{row.sdk.rpartition('.')[2]}`" if row.sdk != row.name else ""
        expected.append(f"| `{row.name}` | {long} | `{row.method} {row.path.removeprefix('/ai/missions') or '/'}` |")
    assert found == expected


@pytest.mark.slow
def test_users_see_exact_types() -> None:
    """A strict type checker finds the types written in data/client_typing.py, and the mistakes marked there."""
    pytest.importorskip("mypy")
    file = Path(__file__).parents[1] / "data" / "client_typing.py"
    command = [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout
