"""Make the twin of a function: one that has the same face and records each call.

The twin is compiled for its function: it takes the same parameters, is of the same kind, and stands, for whoever asks,
in the same file, at the line of the decorator. So wrong arguments are refused by Python itself, when and as they would
be, `inspect` and every tool built on it see the function they expect, and a traceback leads through the user's file.
A wrapper that takes `*args, **kwargs` can do none of this, and one of wrapt's proxies is taken for the bare function by
cloudpickle, which would leave the recording behind.
"""

from __future__ import annotations

import ast
import functools
import inspect
import types
from types import CellType, CodeType, FunctionType
from typing import Any

from mission_tracer._calls.drivers import AsyncGeneratorDriver, Block, GeneratorDriver

# What begins with `$` is a name of ours; it gets a prefix that none of the function's parameters has. The outer
# function is never called: it makes those names free variables of the inner one.
_CALL = """
def around($block, $function, $BaseException):
    {define} call({parameters}):
        $scope = $block.begin($function, {given}, bound={bound})
        if $scope is None:
            return {wait} $function({arguments})
        $before = $scope.enter()
        try:
            $result = {wait} $function({arguments})
        except $BaseException as $error:
            $scope.leave($before)
            $scope.end(None, $error)
            raise
        $scope.leave($before)
        $scope.end($result)
        return $result
"""

_GENERATOR = """
def around($block, $function, $Driver):
    {define} call({parameters}):
        $driver = $Driver($function({arguments}), $block.begin($function, {given}, bound={bound}))
        while {wait} $driver.resume():
            with $driver:
                $driver.given = yield $driver.take()
        {end}
"""

_PLAIN = (_CALL, {"define": "def", "wait": ""})

# The flag of a code object -> the shape of its twin.
_SHAPES = {
    inspect.CO_COROUTINE: (_CALL, {"define": "async def", "wait": "await"}),
    inspect.CO_GENERATOR: (_GENERATOR, {"define": "def", "wait": "", "end": "return $driver.result"}),
    inspect.CO_ASYNC_GENERATOR: (_GENERATOR, {"define": "async def", "wait": "await", "end": ""}),
}

_DRIVERS = {inspect.CO_GENERATOR: GeneratorDriver, inspect.CO_ASYNC_GENERATOR: AsyncGeneratorDriver}

_OBJECTS = frozenset({"self", "cls", "mcs", "metacls"})
"""How the first parameter of a method is called."""


def twin(function: FunctionType, block: Block, *, bound: bool | None = None) -> FunctionType:
    """Return a function like this one, each call of which is recorded as the block says.

    Args:
        function: Any function written in Python.
        block: Begins a scope for each call.
        bound: Whether the first argument is the object or class of a method; `None`: its parameter's name tells.
    """
    code = function.__code__
    kind = next((flag for flag in _SHAPES if code.co_flags & flag), 0)
    template, words = _SHAPES.get(kind, _PLAIN)
    face = _Face(code, bound=bound)
    inner = _compiled(template.format(**words, **face.words()).replace("$", face.prefix))
    free = {"block": block, "function": function, "BaseException": BaseException, "Driver": _DRIVERS.get(kind)}
    call = FunctionType(
        _in_the_place_of(code, inner),
        # Whoever resolves the function's annotations by name looks into its globals.
        function.__globals__,
        function.__name__,
        function.__defaults__,
        tuple(CellType(free[name.removeprefix(face.prefix)]) for name in inner.co_freevars),
    )
    call.__kwdefaults__ = function.__kwdefaults__
    functools.update_wrapper(call, function)
    if code.co_flags & inspect.CO_ITERABLE_COROUTINE:
        call = types.coroutine(call)  # type: ignore[assignment]  # it marks the function's code and returns it
    return call


def _in_the_place_of(code: CodeType, inner: CodeType) -> CodeType:
    names: dict[str, Any] = {"co_name": code.co_name}
    qualified = getattr(code, "co_qualname", None)  # from Python 3.11 on
    if qualified is not None:
        names["co_qualname"] = qualified
    return inner.replace(co_filename=code.co_filename, co_firstlineno=code.co_firstlineno, **names)


@functools.lru_cache(maxsize=256)  # functions with the same parameters share it; compiling takes half a millisecond
def _compiled(text: str) -> CodeType:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        # One line for all of it, and no columns: there is no source to point at.
        node.lineno = node.end_lineno = 1  # type: ignore[attr-defined]
        node.col_offset = node.end_col_offset = -1  # type: ignore[attr-defined]
    (around,) = _codes(compile(tree, "<mission_tracer>", "exec", dont_inherit=True))
    (call,) = _codes(around)
    return call


def _codes(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


class _Face:
    """Read from a code object how its function is called."""

    def __init__(self, code: CodeType, *, bound: bool | None) -> None:
        names = code.co_varnames
        count, self._only = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
        self._bare = names[: code.co_posonlyargcount]
        self._positional = names[:count]
        self._named = names[count : self._only]
        starred = bool(code.co_flags & inspect.CO_VARARGS)
        self._rest = names[self._only] if starred else None
        self._more = names[self._only + starred] if code.co_flags & inspect.CO_VARKEYWORDS else None
        by_name = bool(self._positional) and self._positional[0] in _OBJECTS
        self._bound = by_name if bound is None else bound
        self.prefix = "mission_tracer_"
        while any(name.startswith(self.prefix) for name in names):
            self.prefix = f"_{self.prefix}"

    def words(self) -> dict[str, str]:
        """Return the texts that a template is filled with."""
        rest = [f"*{self._rest}"] if self._rest else []
        more = [f"**{self._more}"] if self._more else []
        parameters = [
            *self._bare,
            *(["/"] if self._bare else []),
            *self._positional[len(self._bare) :],
            *(rest or (["*"] if self._named else [])),
            *self._named,
            *more,
        ]
        positional = [*self._positional, *rest]
        args = f"({', '.join(positional)},)" if positional else "()"
        kwargs = ", ".join([*(f"{name!r}: {name}" for name in self._named), *more])
        return {
            "parameters": ", ".join(parameters),
            "arguments": ", ".join([*positional, *(f"{name}={name}" for name in self._named), *more]),
            "given": f"{args}, {{{kwargs}}}",
            "bound": str(self._bound),
        }
