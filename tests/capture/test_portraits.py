"""Every kind of object has a portrait, and being portrayed changes nothing about it."""

import array
import asyncio
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import gc
import io
import ipaddress
import os
import pathlib
import re
import socket
import threading
import types
import unittest.mock
import uuid
import warnings
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
import wrapt

from mission_tracer._capture.capture import Capture

HERE = __name__
CAPTURE = Capture(strict=True)


def shown(value: Any) -> Any:
    made = CAPTURE.value(value)
    assert msgspec.json.decode(msgspec.json.encode(made)) == made
    return made


class Color(enum.Enum):
    RED = 1


class Word(str, enum.Enum):
    DONE = "done"


class Level(enum.IntEnum):
    HIGH = 3


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    token: str


@dataclasses.dataclass
class Quote:
    company: str
    price: int
    api_key: str = "hunter2"
    hidden: str = dataclasses.field(default="hunter2", repr=False)


@dataclasses.dataclass(slots=True)
class Slotted:
    a: int
    b: int = dataclasses.field(init=False)


class Row(msgspec.Struct):
    a: int
    password: str


class Shop:
    def __init__(self) -> None:
        self.name = "ABC"
        self._inner = "inner"
        self.token = "hunter2"
        self.client = Client()


class Client:
    def __init__(self) -> None:
        self.anything = "hunter2"


class Spoken:
    def __repr__(self) -> str:
        return f"Spoken(at={object()!r}, password='hunter2')"


class Called(Spoken):
    def __call__(self) -> None: ...


class Names(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        return iter(["a", "password"])

    def __len__(self) -> int:
        return 2


class Odd(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError

    def __iter__(self) -> Any:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError


class OddList(list[Any]):
    __iter__ = __len__ = __getitem__ = None  # type: ignore[assignment]


class OddText(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError

    __len__ = None  # type: ignore[assignment]


def stream() -> Iterator[int]:
    yield 1


MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc)

PORTRAITS: list[tuple[Any, Any]] = [
    (Color.RED, "Color.RED"),
    (Word.DONE, "done"),
    (Level.HIGH, 3),
    (Point(1, "hunter2"), {"x": 1, "token": "[redacted]"}),
    (Quote("ABC", 350), {"company": "ABC", "price": 350, "api_key": "[redacted]"}),
    (Slotted(1), {"a": 1}),
    (Row(1, "hunter2"), {"a": 1, "password": "[redacted]"}),
    (Shop(), {"type": f"{HERE}.Shop", "fields": {"name": "ABC", "token": "[redacted]", "client": f"<{HERE}.Client>"}}),
    (object(), "<object>"),
    (Spoken(), "Spoken(at=<object object>, password='[redacted]')"),
    (Names(), {"a": 1, "password": "[redacted]"}),
    (Odd(a=1), {"a": 1}),
    (OddList([1, 2]), [1, 2]),
    (OddText("abc"), "abc"),
    (type("Number", (int,), {"__repr__": None})(7), 7),
    (type("Real", (float,), {"__float__": None})(0.5), 0.5),
    (MOMENT, "2026-01-02T03:04:05+00:00"),
    (MOMENT.date(), "2026-01-02"),
    (MOMENT.time(), "03:04:05"),
    (dt.timedelta(days=1, hours=2), "1 day, 2:00:00"),
    (decimal.Decimal("12.50"), "12.50"),
    (fractions.Fraction(1, 3), "1/3"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    (httpx.URL("https://u:hunter2@x.com/?api_key=hunter2"), "https://[redacted: url]@x.com/?api_key=[redacted]"),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset({"b", "a"}), ["a", "b"]),
    ({(1, 2)}, [[1, 2]]),
    (collections.deque([1, 2], maxlen=5), [1, 2]),
    (array.array("i", [1, 2]), [1, 2]),
    (range(10), "range(0, 10)"),
    ({"a": 1}.keys(), ["a"]),
    ({"a": 1}.items(), [["a", 1]]),
    ({"a": 1}.values(), "dict_values([1])"),
    (collections.OrderedDict(a=1), {"a": 1}),
    (collections.defaultdict(list, a=[1]), {"a": [1]}),
    (collections.Counter("aab"), {"a": 2, "b": 1}),
    (collections.ChainMap({"a": 1}), {"a": 1}),
    (collections.UserDict({"a": 1}), {"a": 1}),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    (types.SimpleNamespace(password="hunter2"), "namespace(password='[redacted]')"),
    (b"hello", {"type": "bytes", "length": 5, "text": "hello"}),
    (bytearray(b"x"), {"type": "bytearray", "length": 1, "text": "x"}),
    (memoryview(b"password=hunter2"), {"type": "memoryview", "length": 16, "text": "password=[redacted]"}),
    (b"\x89PNG\r\n\x1a\n" + b"\0" * 99, {"type": "bytes", "length": 107, "hex": "89504e470d0a1a0a"}),
    (b"p\0a\0", {"type": "bytes", "length": 4, "hex": "70006100"}),
    (ValueError("password=hunter2"), {"type": "ValueError", "message": "password=[redacted]"}),
    (ValueError, "<class ValueError>"),
    (len, "<function len>"),
    (stream, f"<function {HERE}.stream>"),
    (Shop().__init__, f"<method {HERE}.Shop.__init__>"),
    (functools.partial(stream, password="hunter2"), f"<partial of function {HERE}.stream>"),
    (functools.partial(Called()), f"<partial of {HERE}.Called>"),
    (iter([1]), "<list_iterator>"),
    (map(str, [1]), "<map>"),
    (io.BytesIO(b"hunter2"), "<_io.BytesIO object>"),
    (threading.Lock(), "<unlocked _thread.lock object>"),
    (re.compile("a"), "re.compile('a')"),
    (os, f"<module 'os' ({os.__spec__.origin})>" if os.__spec__.origin == "frozen" else repr(os)),  # type: ignore[union-attr]
    (..., "Ellipsis"),
    (1j, "1j"),
    (httpx.Headers({"authorization": "hunter2", "accept": "x"}), {"authorization": "[redacted]", "accept": "x"}),
]


@pytest.mark.parametrize(("value", "expected"), PORTRAITS, ids=[type(value).__name__ for value, _ in PORTRAITS])
def test_a_value_is_shown_as_a_reader_wants_it(value: Any, expected: Any) -> None:
    """Every kind of value has one portrait, and its secrets are hidden in it."""
    assert shown(value) == expected
    assert shown([value]) == [expected]


def test_flags_are_named() -> None:
    """A combination of flags is named, however this Python writes it."""
    assert "READ" in shown(Right.READ | Right.WRITE)


def test_nothing_that_yields_is_consumed() -> None:
    """Generators, iterators, files and streams stand where they stood after having been captured."""
    made, numbers, pairs, file = stream(), iter([1, 2]), zip([1], [2], strict=True), io.StringIO("abc")
    assert shown([made, numbers, pairs])[0] == "<generator stream>"
    shown(file)
    assert [next(made), next(numbers), next(pairs), file.read()] == [1, 1, (1, 2), "abc"]


def test_a_file_is_named_and_not_read() -> None:
    """An open file shows its name and keeps its place."""
    with pathlib.Path(__file__).open(encoding="utf-8") as file:
        assert "test_portraits.py" in shown(file)
        assert file.tell() == 0


def test_coroutines_are_not_awaited() -> None:
    """Coroutines and asynchronous generators are named only, and no warning is caused or hidden."""

    async def work() -> None: ...

    async def many() -> Any:
        yield 1

    coroutine, generator = work(), many()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert shown(coroutine).startswith("<coroutine ")
        assert shown(generator).startswith("<async generator ")
    asyncio.run(coroutine)


def test_a_socket_is_only_named() -> None:
    """A socket is shown without anything being read from it."""
    with socket.socket() as one:
        assert "socket" in shown(one)


def test_a_proxy_is_not_followed_into_errors() -> None:
    """Proxies, also dead ones, are shown by what they say."""
    shop = Shop()
    proxy = weakref.proxy(shop)
    assert "weakproxy" in shown(proxy)
    del shop
    assert isinstance(shown(proxy), str)
    assert "ObjectProxy" in shown(wrapt.ObjectProxy({"a": 1}))


def test_mocks_are_shown_by_name() -> None:
    """A mock answers every question; it is shown by its repr."""
    assert shown(unittest.mock.MagicMock(name="agent")).startswith("<MagicMock name='agent' id=")


def test_an_exception_group_is_shown_by_type_and_message() -> None:
    """Exceptions as values show type and message, raising `__str__` included."""

    class SilentError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "SilentError" in shown(SilentError())


RAISING = [
    "__repr__",
    "__str__",
    "__hash__",
    "__len__",
    "__iter__",
    "__getattr__",
    "__getattribute__",
    "__eq__",
    "__bool__",
]


@pytest.mark.parametrize(
    "error", [ValueError, RecursionError, MemoryError, BaseException, type("Own", (BaseException,), {})]
)
def test_objects_whose_every_method_raises_are_named(error: type[BaseException]) -> None:
    """An object that raises whatever is asked of it is shown by its type, and its neighbours as ever."""

    def fail(*_args: Any) -> Any:
        raise error

    hostile = type("Hostile", (), {**dict.fromkeys(RAISING, fail), "__class__": property(fail)})()
    assert shown({"a": hostile, "b": 1}) == {
        "a": f"<{HERE}.Hostile, unreadable: {error.__name__ if error.__module__ == 'builtins' else HERE + '.Own'}>",
        "b": 1,
    }


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_ctrl_c_is_never_swallowed(error: type[BaseException]) -> None:
    """What is meant for the program passes through capture."""

    class Interrupted:
        def __repr__(self) -> str:
            raise error

    with pytest.raises(error):
        CAPTURE.value([Interrupted()])


def test_one_unreadable_field_hides_no_other() -> None:
    """A dataclass with a failing attribute shows the rest."""

    @dataclasses.dataclass
    class Half:
        good: int
        bad: int

        def __getattribute__(self, name: str) -> Any:
            if name == "bad":
                raise ValueError
            return object.__getattribute__(self, name)

    assert shown(Half(1, 2)) == {"good": 1, "bad": "<unreadable: ValueError>"}


def test_a_metaclass_runs_no_code() -> None:
    """A class is recognized without asking its metaclass."""

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            raise RuntimeError

        def __hash__(cls) -> int:
            raise RuntimeError

        def __instancecheck__(cls, other: object) -> bool:
            raise RuntimeError

    class Odd(metaclass=Meta):
        def __repr__(self) -> str:
            return "odd"

    assert shown(Odd()) == "odd"
    assert shown(Odd).startswith("<class ")


def test_a_long_byte_string_is_read_at_its_begin_only() -> None:
    """Of long bytes the begin is shown, and no half of a secret."""
    token = b"ghp_" + b"aB3dE6gH9j" * 4
    assert shown(b"ab " * 30_000_000)["length"] == 90_000_000
    for before in range(16_330, 16_390):
        made = shown(b"a " * (before // 2) + token + b" b" * 1000)
        assert "aB3d" not in made["text"]
    assert shown("é".encode() * 20_000)["text"] == ""
    assert shown(("é " * 20_000).encode())["text"].startswith("é é")


def test_addresses_are_left_out() -> None:
    """A memory address means nothing to a reader and is not shown."""
    assert " at 0x" not in shown(Spoken())


def test_types_are_not_kept_alive() -> None:
    """Remembering how to portray a type does not keep it."""
    made = type("Made", (), {"__repr__": lambda self: "made"})
    assert shown(made()) == "made"
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None


def test_attrs_classes_show_their_fields() -> None:
    """An attrs class shows its fields but those without repr."""
    attrs = pytest.importorskip("attrs")

    @attrs.define
    class Quote:
        company: str
        password: str
        hidden: str = attrs.field(default="hunter2", repr=False)

    assert shown(Quote("ABC", "hunter2")) == {"company": "ABC", "password": "[redacted]"}


def test_pydantic_models_show_their_fields() -> None:
    """A pydantic model shows its fields and extras, but no hidden one and no secret."""
    pydantic = pytest.importorskip("pydantic")

    class Quote(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        company: str
        api_key: str = "hunter2"
        pin: pydantic.SecretStr = pydantic.SecretStr("hunter2")
        hidden: str = pydantic.Field("hunter2", repr=False)

    made = shown(Quote(company="ABC", more=1))
    assert made == {"company": "ABC", "api_key": "[redacted]", "pin": "SecretStr('**********')", "more": 1}


def test_numpy_values_are_summarized() -> None:
    """Arrays show dtype, shape and head; scalars become numbers."""
    np = pytest.importorskip("numpy")
    assert shown(np.float64(1.5)) == 1.5
    assert shown(np.int32(3)) == 3
    assert shown(np.bool_(True)) is True
    assert shown(np.float32("nan")) == "NaN"
    assert shown(np.datetime64("2026-01-02")) == "2026-01-02"
    assert shown(np.longdouble(1)) == "1.0"
    assert shown(np.array([[1, 2]])) == {"type": "numpy.ndarray", "dtype": "int64", "shape": [1, 2], "values": [[1, 2]]}
    assert shown(np.zeros((1000, 1000)))["head"] == [0.0] * 8
    assert shown(np.array([Spoken()], dtype=object))["values"] == ["Spoken(at=<object object>, password='[redacted]')"]
    assert "values" not in shown(np.array([("hunter2",)], dtype=[("password", "U9")]))


def test_what_computes_when_shown_is_summarized_by_shape() -> None:
    """Tensors and lazy tables show dtype and shape; their values are not asked for."""

    class Tensor:
        __module__ = "torch"
        dtype, shape = "float32", (2, 3)

        def __repr__(self) -> str:
            raise AssertionError

    class Query:
        __module__ = "dask.bag"

    assert shown(Tensor()) == {
        "type": "torch." + Tensor.__qualname__.rpartition(">.")[2],
        "dtype": "float32",
        "shape": "(2, 3)",
    }
    assert shown(Query()).startswith("<dask.bag.")
