"""Walk over one value and make it plain data: redacted, of bounded depth, breadth, text and time."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from mission_tracer._capture.plain import Fields, Items, Line, integer, real, type_name
from mission_tracer._redact.commands import password_of
from mission_tracer._redact.redaction import REDACTED, Redaction, is_control_flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from mission_tracer._capture.portraits import Portraits

__all__ = ["MORE", "Names", "Walk", "clean"]

MORE = "..."
"""The key beside which a cut mapping tells how many entries are missing; a cut list tells it in its last item."""

MAX_DEPTH = 12
"""How many containers deep a value is shown."""

PATIENCE = 0.05
"""Seconds that the code of a value's own objects (`__repr__`, properties) may take together."""

# An ordinary entry takes some dozens of bytes: looking at more than one node for so many bytes is seldom worth it.
_BYTES_PER_NODE = 16
_FEWEST_NODES = 64
# Characters read altogether, as a multiple of the bytes that can be kept, and how short a text is never left out.
_READ_AHEAD = 4
_ALWAYS_READ = 64
_LONGEST_KEY = 200
_REMEMBERED_KEY = 64
_REMEMBERED_KEYS = 2048
# Part of the nodes that is left for the siblings of a container, and how many each of them has at the most.
_NODES_PER_SIBLING = 4
# The most bytes of JSON a character and a node can become: `\u0000`; an integer, or a marker.
_BYTES_PER_CHARACTER = 6
_BYTES_OF_NODE = 32

_LEAVES = (str, int, float, bool, type(None))
_PLAIN = (*_LEAVES, dict, list, tuple)
_PORTRAITS = (Fields, Items, Line)
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_NAME_AND_VALUE = (("name", "value"), ("key", "value"), ("Name", "Value"), ("Key", "Value"))


def clean(text: str) -> str:
    """Replace what UTF-8 cannot say: lone surrogates."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _is_one(kind: type, kinds: tuple[type, ...]) -> bool:
    """Compare types by identity: a foreign metaclass may define hashing and equality."""
    return any([kind is one for one in kinds])  # noqa: C419 - half as long as with a generator


def _exactly(text: Any) -> str:
    """Make a `str` of a subclass, past whatever that overrides."""
    return str.__str__(text)


def _number(value: Any) -> Any:
    return integer(value) if type(value) is int else real(value) if type(value) is float else value


class Names:
    """Judge and clean the keys of mappings, remembering the ones met before."""

    __slots__ = ("_known", "_redaction")

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._known: dict[str, tuple[str, bool]] = {}

    def of(self, key: str) -> tuple[str, bool]:
        """Give a key as it is shown, and whether the value beside it is hidden."""
        known = self._known.get(key)
        if known is None:
            name = clean(self._redaction.excerpt(_exactly(key), _LONGEST_KEY))
            known = name, self._redaction.is_secret_key(key)
            if len(key) <= _REMEMBERED_KEY:
                if len(self._known) >= _REMEMBERED_KEYS:
                    self._known.clear()
                self._known[_exactly(key)] = known
        return known


class Walk:
    """The state of one walk: what may still be spent, and where it is.

    Args:
        redaction: what is hidden.
        names: the keys known to that redaction.
        portraits: who portrays what is no plain value.
        max_bytes: how much of the result can be kept; less is read of larger values.
        clock: a clock in seconds.
    """

    __slots__ = (
        "_active",
        "_asks",
        "_clock",
        "_longest",
        "_names",
        "_nodes",
        "_path",
        "_patience",
        "_portraits",
        "_redaction",
        "_room",
        "_text",
    )

    def __init__(
        self, redaction: Redaction, names: Names, *, portraits: Portraits, max_bytes: int, clock: Callable[[], float]
    ) -> None:
        self._redaction = redaction
        self._text = redaction.text
        self._asks = redaction.callback is not None
        self._names = names.of
        self._portraits = portraits
        self._clock = clock
        self._longest = max_bytes
        self._nodes = max(_FEWEST_NODES, max_bytes // _BYTES_PER_NODE)
        self._room = _READ_AHEAD * max_bytes
        self._patience = PATIENCE
        self._active: set[int] = set()
        self._path: list[str | int] = []

    def fits(self) -> bool:
        """Tell whether what was made so far is certainly no longer than `max_bytes`, without encoding it."""
        characters = _READ_AHEAD * self._longest - self._room
        nodes = max(_FEWEST_NODES, self._longest // _BYTES_PER_NODE) - self._nodes + 1
        return characters * _BYTES_PER_CHARACTER + nodes * _BYTES_OF_NODE <= self._longest

    def value(self, value: Any, depth: int = 0) -> Any:
        """Make one value plain; what it holds is walked over in turn."""
        if self._asks:
            value = self._redaction.replaced(tuple(self._path), value)
        kind = type(value)
        if kind is str:
            return self.text(value)
        if value is None or kind is bool:
            return value
        if kind is int or kind is float:
            number = _number(value)
            if type(number) is str:
                self._room -= len(number)
            return number
        if kind is dict or kind is list or kind is tuple:
            return self._container(value, value, len(value), depth)
        return self._other(value, kind, depth)

    def text(self, text: str) -> str:
        """Redact a text, keeping its begin and end if it is long."""
        length = len(text)
        if length > _ALWAYS_READ:
            most = min(self._longest, self._room >> 1)
            if length > most:
                if most < _ALWAYS_READ:
                    return f"... {length} characters ..."
                text = clean(self._redaction.excerpt(text, most))
                self._room -= len(text)
                return text
        text = self._text(text)
        self._room -= len(text)
        return text if text.isascii() else clean(text)

    def _container(self, owner: Any, value: Any, total: int, depth: int) -> Any:
        """Go into a container unless that is too deep or it holds itself."""
        if depth >= MAX_DEPTH:
            return self.text(f"<{type_name(type(owner))}, {total} items>")
        identity = id(owner)
        if identity in self._active:
            return self.text(f"<{type_name(type(owner))} holding itself>")
        self._active.add(identity)
        try:
            if type(value) is dict:
                return self._fields(list(islice(value.items(), max(self._nodes, 0))), total, depth + 1)
            return self._items(list(value[: max(self._nodes, 0)]), total, depth + 1)
        finally:
            self._active.discard(identity)

    def _fields(self, pairs: list[tuple[Any, Any]], total: int, depth: int) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        self._nodes -= len(pairs)
        left = len(pairs)
        for key, item in pairs:
            left -= 1
            name, hidden = self._names(key) if type(key) is str else self._key(key, depth)
            if name in shown:
                name = f"{name} ({len(shown) + 1})"
            self._room -= len(name)
            kind = type(item)
            if hidden and item is not None and kind is not bool and not (kind is str and not item):
                shown[name] = REDACTED
            elif not self._asks and (kind is str or kind is int or kind is float or kind is bool or item is None):
                shown[name] = self.value(item)
            else:
                shown[name] = self._child(item, name, left, depth)
        if "value" in shown or "Value" in shown:
            self._hide_named_value(shown)
        if total > len(pairs):
            shown[MORE] = f"{total - len(pairs)} more"
        return shown

    def _hide_named_value(self, shown: dict[str, Any]) -> None:
        """Hide the value of `{"name": "Authorization", "value": ...}`, as lists of headers and variables have it."""
        for name, value in _NAME_AND_VALUE:
            told, item = shown.get(name), shown.get(value)
            says_nothing = item is None or type(item) is bool or item == ""
            if type(told) is str and not says_nothing and self._redaction.is_secret_key(told):
                shown[value] = REDACTED

    def _items(self, values: list[Any], total: int, depth: int) -> list[Any]:
        self._nodes -= len(values)
        if total == 2 == len(values) and self._is_secret_pair(values):
            return [self.value(values[0], depth), REDACTED]
        shown: list[Any] = []
        left = len(values)
        hidden: tuple[int, int] | None = None
        for place, item in enumerate(values):
            left -= 1
            kind = type(item)
            if kind is str and item[:1] == "-" and (hidden is None or hidden[0] != place):
                hidden = self._hidden_by_option(values, place)
            if hidden is not None and hidden[0] == place:
                begin = self._child(item[: hidden[1]], place, left, depth) if hidden[1] else ""
                shown.append(f"{begin}{REDACTED}")
                continue
            leaf = not self._asks and (kind is str or kind is int or kind is float or kind is bool or item is None)
            shown.append(self.value(item) if leaf else self._child(item, place, left, depth))
        if total > len(values):
            shown.append(f"{MORE} {total - len(values)} more")
        return shown

    def _hidden_by_option(self, values: list[Any], place: int) -> tuple[int, int] | None:
        """Find what a command line's option hides: the place of the value that holds it, and where it begins there."""
        option = values[place]
        if len(option) <= _REMEMBERED_KEY and self._redaction.is_secret_key(option.lstrip("-")):
            return place + 1, 0  # ["--password", "hunter2"]
        return password_of(values, place) if self._redaction.builtin else None

    def _is_secret_pair(self, pair: list[Any]) -> bool:
        """Tell whether two values are a name and its secret, as in the raw headers of HTTP."""
        name, item = pair
        if type(item) is not str and type(item) is not bytes:
            return False
        if type(name) is bytes and len(name) <= _REMEMBERED_KEY:
            name = name.decode("latin-1")
        return type(name) is str and len(name) <= _REMEMBERED_KEY and self._redaction.is_secret_key(name)

    def _child(self, item: Any, place: str | int, left: int, depth: int) -> Any:
        """Walk into one part of a container, keeping some of what may be spent for its siblings."""
        kept = min(self._nodes >> 1, left * _NODES_PER_SIBLING)
        self._nodes -= kept
        if not self._asks:
            shown = self.value(item, depth)
        else:
            self._path.append(place)
            shown = self.value(item, depth)
            self._path.pop()
        self._nodes += kept
        return shown

    def _key(self, key: Any, depth: int) -> tuple[str, bool]:
        """Write a key that is no string as one."""
        if type(key) is bytes and len(key) <= _LONGEST_KEY:
            return self._names(key.decode("utf-8", "replace"))
        kind = type(key)
        if issubclass(kind, str):
            return self._names(_exactly(key))
        if _is_one(kind, _LEAVES):
            return str(_number(key)), False
        asks, self._asks = self._asks, False
        shown = self.value(key, depth) if kind is tuple else self._other(key, kind, MAX_DEPTH)
        self._asks = asks
        return self._redaction.excerpt(shown if type(shown) is str else str(shown), _LONGEST_KEY), False

    def _other(self, value: Any, kind: type, depth: int) -> Any:
        """Make an object plain by its portrait; parts of a portrait are portraits already."""
        portrait = value if _is_one(kind, _PORTRAITS) else self._portrait(value, kind)
        made = type(portrait)
        if made is Line:
            text = portrait.text
            if self._asks:
                text = self._redaction.replaced(tuple(self._path), text)
            return _ADDRESS.sub("", self.text(text)) if type(text) is str else self._plain(text, depth)
        if made is Fields or made is Items:
            return self._portrayed(value, portrait, depth)
        return self._plain(portrait, depth)

    def _plain(self, value: Any, depth: int) -> Any:
        """Go on with a value that must be plain now; what is not is named only."""
        kind = type(value)
        if _is_one(kind, _PLAIN):
            asks, self._asks = self._asks, False
            try:
                return self.value(value, depth)
            finally:
                self._asks = asks
        return self.text(f"<{type_name(kind)}>")

    def _portrait(self, value: Any, kind: type) -> Any:
        """Ask for a portrait, unless the value's objects have used up their time; a failing one is named only."""
        if self._patience <= 0:
            return Line(f"<{type_name(kind)}>")
        started = self._clock()
        try:
            return self._portraits.of(kind)(value, max(self._nodes, 0))
        except BaseException as error:
            if is_control_flow(error):
                raise
            return Line(f"<{type_name(kind)}, unreadable: {type_name(type(error))}>")
        finally:
            self._patience -= self._clock() - started

    def _portrayed(self, owner: Any, portrait: Fields | Items, depth: int) -> Any:
        if depth >= MAX_DEPTH:
            return self.text(f"<{type_name(type(owner))}>")
        identity = id(owner)
        if identity in self._active:
            return self.text(f"<{type_name(type(owner))} holding itself>")
        self._active.add(identity)
        most = max(self._nodes, 0)
        try:
            if isinstance(portrait, Items):
                return self._items(portrait.values[:most], portrait.total, depth + 1)
            total = len(portrait.pairs) if portrait.total is None else portrait.total
            return self._fields(portrait.pairs[:most], total, depth + 1)
        finally:
            self._active.discard(identity)
