"""Frameworks that look at functions and call them: with ours in between, all goes on as before, and is recorded."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints
from unittest import mock

import pytest

import mission_tracer as mt
from mission_tracer import facts

from .conftest import Decorate
from .seeing import agree


def test_click_commands(decorate: Decorate) -> None:
    """Click commands, groups, options and contexts work with ours below and above."""
    click = pytest.importorskip("click")
    from click.testing import CliRunner

    @click.group()
    @decorate
    def group() -> None:
        """Group."""

    @group.command()
    @click.argument("name")
    @click.option("--times", default=2, help="How often.")
    @click.pass_context
    @decorate
    def below(ctx: Any, name: str, times: int) -> None:
        """Say it."""
        click.echo(f"{ctx.info_name} " + name * times)

    @decorate
    @group.command()
    @decorate
    @click.argument("name")
    @click.option("--times", default=2)
    def above(name: str, times: int) -> None:
        """Say it."""
        click.echo(name * times)
        raise click.ClickException("enough")

    run = CliRunner().invoke
    assert run(group, ["below", "ab", "--times", "3"]).output == "below ababab\n"
    done = run(group, ["above", "ab"])
    assert (done.exit_code, done.output) == (1, "abab\nError: enough\n")
    assert run(above, ["x"]).output == "xx\nError: enough\n"
    assert "How often." in run(below, ["--help"]).output
    assert "Say it." in run(group, ["--help"]).output
    assert isinstance(above, click.Command)


@pytest.mark.parametrize("order", ["below", "above"])
def test_click_commands_are_recorded(order: str, journal: Callable[[], list[facts.Fact]]) -> None:
    """A click command is recorded with its parameters, in either order of decorators."""
    click = pytest.importorskip("click")
    from click.testing import CliRunner

    def agent(city: str) -> None:
        click.echo(city)

    option = click.option("--city")
    if order == "below":
        command = click.command()(option(mt.mission_run(agent)))
    else:
        command = mt.mission_run(click.command()(option(agent)))
    assert CliRunner().invoke(command, ["--city", "Chicago"]).output == "Chicago\n"
    opened = journal()[0]
    assert isinstance(opened, facts.RunOpened)
    assert (opened.mission.name, opened.input) == ("agent", {"city": "Chicago"})


PLUGIN = """
    import pytest
    import mission_tracer as mt

    @pytest.fixture(params=[1, 2])
    @mt.plan_step
    def below(request, tmp_path):
        with mt.plan_step("open while the test runs"):
            yield request.param
        assert tmp_path.exists()

    @mt.plan_step
    @pytest.fixture
    def above(below):
        '''A fixture.'''
        yield below + 1

    @pytest.fixture(autouse=True)
    @mt.tool_call
    def always():
        return 1

    class TestIt:
        @pytest.fixture
        @mt.plan_step
        def own(self, above):
            return above + 1

        @mt.mission_run
        @pytest.mark.parametrize("more", [1, 2])
        def test_it(self, own, more):
            assert own + more in (4, 5, 6)
            assert mt.current_step() is None

    @pytest.mark.usefixtures("above")
    @mt.mission_run("Named")
    def test_function(below):
        '''
        >>> 1 + 1
        2
        '''
        assert below in (1, 2)
"""


def test_pytest_fixtures(tmp_path: Path, journal: Callable[[], list[facts.Fact]]) -> None:
    """Pytest finds decorated fixtures, tests, methods, marks and doctests, and fills in their arguments."""
    file = tmp_path / "test_it.py"
    file.write_text(textwrap.dedent(PLUGIN))
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "--doctest-modules", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(file)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert "7 passed" in done.stdout, done.stdout
    assert len([fact for fact in journal() if isinstance(fact, facts.RunOpened)]) == 6


def test_pydantic(decorate: Decorate) -> None:
    """Pydantic's `validate_call`, validators and computed fields take decorated functions."""
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):
        one: int

        @pydantic.field_validator("one")
        @classmethod
        @decorate
        def double(cls, value: int) -> int:
            return 2 * value

        @pydantic.computed_field
        @property
        @decorate
        def more(self) -> int:
            return self.one + 1

        @decorate
        def method(self) -> int:
            return self.one

    @pydantic.validate_call
    @decorate
    def subject(one: int, *, two: float = 1.0) -> Any:
        return one, two

    assert Model(one="3").model_dump() == {"one": 6, "more": 7}
    assert Model(one=1).method() == 2
    assert subject("4", two="2.5") == (4, 2.5)


def test_mocks(decorate: Decorate) -> None:
    """`unittest.mock` specifies mocks from decorated functions and patches them."""

    class Agent:
        @decorate
        def method(self, one: int) -> int:
            return one

        @decorate
        async def later(self, one: int) -> int:
            return one

    double = mock.create_autospec(Agent, instance=True)
    double.method(1)
    with pytest.raises(TypeError):
        double.method(1, 2)
    assert isinstance(double.later, mock.AsyncMock) or hasattr(double.later, "assert_awaited")
    with mock.patch.object(Agent, "method", autospec=True, return_value=5):
        assert Agent().method(1) == 5
    assert Agent().method(1) == 1


def test_argument_inspection_of_agents(decorate: Decorate) -> None:
    """A schema that is read from a function's signature and docstring, as agents' tool kits do, is the bare one's."""

    def make(d: Decorate) -> Any:
        @d
        def search(query: str, limit: int = 5, *, sites: list[str] | None = None) -> list[str]:
            """Search the web.

            Args:
                query: What for.
            """
            return [query] * limit

        return search

    def schema(target: Any) -> Any:
        hints = get_type_hints(target)
        parameters = inspect.signature(target).parameters
        required = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
        return target.__name__, inspect.getdoc(target), {name: str(hints[name]) for name in parameters}, required

    assert agree(make, decorate, schema)[3] == ["query"]
