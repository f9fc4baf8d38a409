"""Say what any object is in plain values: one portrayer per kind of type, found without running the object's code.

A portrayer gives a number, a text, `Fields`, `Items` or a `Line`; their contents are still raw and are portrayed in
turn by whoever walks over them. Nothing here consumes an iterator, awaits, or reads a stream. Optional packages are
known by the qualified names of their classes, so none is imported.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

from mission_tracer._capture.frames import frames
from mission_tracer._capture.plain import Fields, Items, Line, integer, real, type_name

__all__ = ["Portraits", "Portrayer"]

Portrayer = Callable[[Any, int], Any]
"""`(value, most) -> portrait`, with at most so many fields or items."""

# Straight from `type`, past whatever a metaclass may do to the class's own attributes.
_MRO = type.__dict__["__mro__"].__get__
_NAME: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_MODULE = type.__dict__["__module__"].__get__
_MEMBERS = type.__dict__["__dict__"].__get__
_TEXT_BYTES = 16_384
_BINARY_BYTES = 8
_SHOWN_ITEMS = 16
_HEAD_ITEMS = 8
_ABSENT = object()


class Portraits:
    """Find the portrayer of a type, and remember it as long as the type lives."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[type, Portrayer] = WeakKeyDictionary()

    def of(self, kind: type) -> Portrayer:
        """Find who portrays values of exactly this type."""
        try:
            return self._known[kind]
        except KeyError:
            found = self._known[kind] = _chosen(kind)
            return found
        except Exception:  # noqa: BLE001 - a metaclass may break hashing; then the choice is made anew
            return _chosen(kind)


def _chosen(kind: type) -> Portrayer:
    mro = _MRO(kind)
    names = [_key(base) for base in mro]
    for name in ("type", "BaseException", "enum.Enum"):
        if name in names:
            return _BY_NAME[name]
    for mark, portrayer in _BY_MARK.items():
        if _has(mro, mark):
            return portrayer
    for name in names[:-1]:
        if name in _BY_NAME:
            return _BY_NAME[name]
    if names[0].partition(".")[0] in _SUMMARIZED:
        return _shape
    return _by_interface(kind, mro) or _by_repr(mro)


def _has(mro: tuple[type, ...], name: str) -> bool:
    return any(name in _MEMBERS(base) for base in mro)


def _key(kind: type) -> str:
    module = _MODULE(kind)
    return _NAME(kind) if module == "builtins" else f"{module}.{_NAME(kind)}"


def _by_interface(kind: type, mro: tuple[type, ...]) -> Portrayer | None:
    if _has(mro, "__next__") or _has(mro, "__anext__"):
        return _type_only
    if _has(mro, "__fspath__"):
        return _path
    try:
        if issubclass(kind, Mapping):
            return _mapping
        if issubclass(kind, (AbstractSet, Sequence)):
            return _iterable
    except Exception:  # noqa: BLE001 - an abstract class's hook may run the type's own code
        return None
    return None


def _by_repr(mro: tuple[type, ...]) -> Portrayer:
    owner = next(base for base in mro if "__repr__" in _MEMBERS(base))
    return _attributes if owner is object else _spoken


def _spoken(value: Any, _most: int) -> Any:
    return Line(repr(value))


def _written(value: Any, _most: int) -> Any:
    return Line(str(value))


def _type_only(value: Any, _most: int) -> Any:
    return Line(f"<{type_name(type(value))}>")


def _named(value: Any, _most: int) -> Any:
    """Functions, methods, generators, coroutines: what they are, and the name they were defined under."""
    kind = type_name(type(value)).replace("builtin_function_or_method", "function").replace("_generator", " generator")
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "?")
    module = getattr(value, "__module__", None)
    where = f"{module}." if isinstance(module, str) and module not in {"builtins", "__main__"} else ""
    return Line(f"<{kind} {where}{str(name).rpartition('<locals>.')[2]}>")


def _partial(value: Any, most: int) -> Any:
    inner = value.func
    told = _named(inner, most).text.strip("<>") if hasattr(inner, "__qualname__") else type_name(type(inner))
    return Line(f"<partial of {told}>")


def _class(value: Any, _most: int) -> Any:
    return Line(f"<class {type_name(value)}>")


def _failure(value: Any, _most: int) -> Any:
    return Fields([("type", type_name(type(value))), ("message", Line(str(value)))])


def _member(value: Any, _most: int) -> Any:
    """An enumeration's member: the value of one that is a text or number by itself, else `Color.RED`."""
    if issubclass(type(value), (str, int, float)):
        return value._value_
    name = value._name_
    return Line(f"{type_name(type(value)).rpartition('.')[2]}.{name}" if name else repr(value))


def _isoformat(value: Any, _most: int) -> Any:
    return Line(value.isoformat())


def _fraction(value: Any, _most: int) -> Any:
    return Line(f"{integer(value.numerator)}/{integer(value.denominator)}")


def _path(value: Any, most: int) -> Any:
    path = os.fspath(value)
    return _bytes(path, most) if isinstance(path, bytes) else str(path)


def _bytes(value: Any, _most: int) -> Any:
    """Bytes: their length and begin, as text if they are text; of others a few, enough to know the format by."""
    kind = type_name(type(value))
    length = value.nbytes if isinstance(value, memoryview) else len(value)
    begin = bytes(value[:_TEXT_BYTES])[:_TEXT_BYTES]
    text = _decoded(begin, cut=length > len(begin))
    if text is None:
        return Fields([("type", kind), ("length", length), ("hex", begin[:_BINARY_BYTES].hex())])
    return Fields([("type", kind), ("length", length), ("text", text)])


def _decoded(begin: bytes, *, cut: bool) -> str | None:
    try:
        text = begin.decode("utf-8")
    except UnicodeDecodeError as error:
        if not cut or error.start < len(begin) - 3:
            return None
        text = begin[: error.start].decode("utf-8")
    if "\0" in text:
        return None
    if cut:
        # A secret that the cut halves would no longer be known: its begin goes too.
        words = text.rstrip().rsplit(None, 1)
        text = words[0] if len(words) > 1 else ""
    return text


def _of(kind: Any) -> Portrayer:
    """Portray a subclass of a container through the container's own methods, not the overriding ones."""
    iterate, length = kind.__iter__, kind.__len__

    def portray(value: Any, most: int) -> Any:
        return Items(list(islice(iterate(value), most)), length(value))

    return portray


def _tuple(value: Any, most: int) -> Any:
    names = getattr(type(value), "_fields", None)
    if isinstance(names, tuple) and len(names) == tuple.__len__(value):
        return Fields(list(zip(names, tuple.__iter__(value), strict=True)))
    return Items(list(islice(tuple.__iter__(value), most)), tuple.__len__(value))


def _set(value: Any, most: int) -> Any:
    items = list(islice(iter(value), most))
    if all(type(item) is str for item in items) or all(type(item) is int for item in items):
        items.sort()
    return Items(items, len(value))


def _iterable(value: Any, most: int) -> Any:
    return Items(list(islice(iter(value), most)), len(value))


def _dict(value: Any, most: int) -> Any:
    return Fields(list(islice(dict.items(value), most)), dict.__len__(value))


def _mapping(value: Any, most: int) -> Any:
    return Fields(list(islice(value.items(), most)), len(value))


def _dataclass(value: Any, _most: int) -> Any:
    return _read(value, [field.name for field in dataclasses.fields(value) if field.repr])


def _attrs(value: Any, _most: int) -> Any:
    return _read(value, [field.name for field in type(value).__attrs_attrs__ if field.repr])


def _struct(value: Any, _most: int) -> Any:
    return _read(value, list(type(value).__struct_fields__))


def _read(value: Any, names: list[str]) -> Fields:
    pairs = [(name, _attribute(value, name)) for name in names]
    return Fields([pair for pair in pairs if pair[1] is not _ABSENT])


def _attribute(value: Any, name: str) -> Any:
    try:
        return getattr(value, name)
    except AttributeError:
        return _ABSENT
    except Exception as error:  # noqa: BLE001 - one unreadable field must not hide the others
        return f"<unreadable: {type_name(type(error))}>"


def _pydantic(value: Any, most: int) -> Any:
    infos = getattr(type(value), "__pydantic_fields__", None) or getattr(type(value), "__fields__", {})
    hidden = {name for name, info in infos.items() if getattr(info, "repr", True) is False}
    known = object.__getattribute__(value, "__dict__")
    pairs = [pair for pair in islice(known.items(), most) if pair[0] not in hidden]
    try:
        extra = object.__getattribute__(value, "__pydantic_extra__") or {}
    except AttributeError:
        extra = {}
    return Fields([*pairs, *islice(extra.items(), most)], len(known) - len(hidden & known.keys()) + len(extra))


def _attributes(value: Any, most: int) -> Any:
    """An object that says nothing of itself: its type and public attributes; further such objects by type alone."""
    try:
        known = object.__getattribute__(value, "__dict__")
    except AttributeError:
        known = {}
    public = [(name, one) for name, one in islice(known.items(), most) if isinstance(name, str) and name[:1] != "_"]
    if not public:
        return _type_only(value, most)
    shown = [(name, _type_only(one, 0) if _chosen(type(one)) is _attributes else one) for name, one in public]
    return Fields([("type", type_name(type(value))), ("fields", Fields(shown))])


def _shape(value: Any, _most: int) -> Any:
    """A tensor or a lazy table: type, dtype and shape; reading values could start a computation."""
    told = [(name, getattr(value, name, None)) for name in ("dtype", "shape", "device")]
    pairs = [(name, Line(str(one))) for name, one in told if one is not None]
    return Fields([("type", type_name(type(value))), *pairs]) if pairs else _type_only(value, 0)


def _array(value: Any, _most: int) -> Any:
    told: list[tuple[str, Any]] = [
        ("type", "numpy.ndarray"),
        ("dtype", str(value.dtype)),
        ("shape", list(value.shape)),
    ]
    if value.dtype.names is None:
        # (Without the names of a record's fields no secret among its values could be known.)
        few = value.size <= _SHOWN_ITEMS
        told.append(("values", value.tolist()) if few else ("head", value.flat[:_HEAD_ITEMS].tolist()))
    return Fields(told)


def _scalar(value: Any, _most: int) -> Any:
    plain = value.item()
    return plain if type(plain) in {bool, int, float, str} else Line(str(value))


def _frame_rows(value: Any, _most: int) -> Any:
    return frames(value)


# The nearest class of the method resolution order that is named here decides.
_BY_NAME: dict[str, Portrayer] = {
    "type": _class,
    "BaseException": _failure,
    "enum.Enum": _member,
    "str": lambda value, _: str.__str__(value),
    "int": lambda value, _: integer(int.__index__(value)),
    "float": lambda value, _: real(float.__pos__(value)),
    "bytes": _bytes,
    "bytearray": _bytes,
    "memoryview": _bytes,
    "dict": _dict,
    "list": _of(list),
    "tuple": _tuple,
    "set": _set,
    "frozenset": _set,
    "range": _spoken,
    "collections.deque": _iterable,
    "array.array": _iterable,
    "collections.UserDict": _mapping,
    "function": _named,
    "builtin_function_or_method": _named,
    "method": _named,
    "generator": _named,
    "coroutine": _named,
    "async_generator": _named,
    "functools.partial": _partial,
    "weakproxy": _spoken,
    "weakcallableproxy": _spoken,
    "weakref.ProxyType": _spoken,
    "weakref.CallableProxyType": _spoken,
    "_io._IOBase": _spoken,
    "unittest.mock.NonCallableMock": _spoken,
    "datetime.date": _isoformat,
    "datetime.time": _isoformat,
    "datetime.timedelta": _written,
    "decimal.Decimal": _written,
    "fractions.Fraction": _fraction,
    "uuid.UUID": _written,
    "ipaddress._IPAddressBase": _written,
    "httpx.URL": _written,
    "yarl.URL": _written,
    "starlette.datastructures.URL": _written,
    "numpy.ndarray": _array,
    "numpy.generic": _scalar,
    "pandas.DataFrame": _frame_rows,
    "pandas.Series": _frame_rows,
    "pandas.core.frame.DataFrame": _frame_rows,
    "pandas.core.series.Series": _frame_rows,
    "polars.dataframe.frame.DataFrame": _frame_rows,
    "polars.series.series.Series": _frame_rows,
    "pydantic.main.BaseModel": _pydantic,
    "pydantic.v1.main.BaseModel": _pydantic,
    "django.db.models.query.QuerySet": _type_only,
}

# Attributes that a decorator or metaclass leaves on the class.
_BY_MARK: dict[str, Portrayer] = {
    "__attrs_attrs__": _attrs,
    "__dataclass_fields__": _dataclass,
    "__struct_fields__": _struct,
}

# Packages whose objects compute when shown.
_SUMMARIZED = frozenset({"torch", "tensorflow", "jax", "jaxlib", "cupy", "dask", "pyspark", "xarray"})
