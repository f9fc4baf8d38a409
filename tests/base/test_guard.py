"""The one guard between our errors and the program."""

from __future__ import annotations

import pytest

from mission_tracer._base.guard import guarded


class Edge:
    """A place where the program calls us."""

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.told: list[tuple[Exception, str]] = []

    def trouble(self, error: Exception, where: str) -> None:
        self.told.append((error, where))
        if self.strict:
            raise error

    @guarded(otherwise="instead")
    def divide(self, number: int, *, by: int = 1) -> float:
        """Divide."""
        return number / by

    @guarded()
    def stop(self, error: BaseException) -> None:
        raise error


def test_an_error_of_ours_is_told_and_passes_nobody() -> None:
    """A guarded method returns what it returns; in place of an error what was agreed, and the error is told."""
    edge = Edge()
    assert edge.divide(6, by=3) == 2
    assert edge.told == []
    assert edge.divide(1, by=0) == "instead"
    [(error, where)] = edge.told
    assert isinstance(error, ZeroDivisionError)
    assert where == "Edge.divide"


def test_strict_errors_are_raised() -> None:
    """An object that raises what it is told of has it raised, with the place where it came from."""
    with pytest.raises(ZeroDivisionError) as caught:
        Edge(strict=True).divide(1, by=0)
    assert caught.traceback[-1].name == "divide"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_what_is_no_error_passes(error: BaseException) -> None:
    """Ctrl-C, an exit and whatever else is no `Exception` is the program's: it passes, untold."""
    edge = Edge(strict=True)
    with pytest.raises(type(error)) as caught:
        edge.stop(error)
    assert caught.value is error
    assert edge.told == []


def test_a_guarded_method_looks_as_before() -> None:
    """Name, documentation and signature are the method's own."""
    assert (Edge.divide.__name__, Edge.divide.__doc__) == ("divide", "Divide.")
