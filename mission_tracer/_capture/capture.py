"""Turn what a program works with into what may be recorded: bounded, redacted, ready for JSON, and never an error."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from mission_tracer._capture.arguments import Arguments
from mission_tracer._capture.failures import described, words
from mission_tracer._capture.fit import fit
from mission_tracer._capture.glance import UNUSUAL, glance
from mission_tracer._capture.lines import line, listed, summarized
from mission_tracer._capture.plain import type_name
from mission_tracer._capture.portraits import Portraits
from mission_tracer._capture.walk import Names, Walk, clean
from mission_tracer._redact.redaction import Redaction
from mission_tracer.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["MODES", "Capture"]

encode = msgspec.json.encode

MODES = ("full", "names", "off")

_SMALLEST = 64
_SUMMARY = 300
_SUMMARY_BYTES = 4096
_ERROR = 500
_ARGUMENTS = 200
_RETURNED = 500
_MOST_NAMES = 100
_REMEMBERED = 1024
_LONGEST_NAME = 100


class Capture:
    """Capture values, arguments, results and exceptions. Safe from several threads; runs on the caller's.

    Whatever is given, a result comes back and `msgspec.json.encode` takes it. Failures of a value's own code show as
    a text in its place, failures of ours as `{"capture_error": "TypeName"}`. What is meant for the program (Ctrl-C,
    `SystemExit`, cancellation) passes through.

    Args:
        mode: what is kept of arguments and results: `full`, `names` (only names and types) or `off`. Values that are
            recorded explicitly (`value`, `text`) and errors are captured in every mode.
        max_bytes: the most bytes of JSON one value becomes, 64 or more.
        redaction: what is hidden; None means the built-in rules.
        strict: raise failures of ours again.
        clock: a clock in seconds; it bounds the time that a value's own code may take.

    Raises:
        ConfigurationError: the mode is unknown.
    """

    __slots__ = (
        "_arguments",
        "_clock",
        "_hide",
        "_names",
        "_portraits",
        "_shown_names",
        "max_bytes",
        "mode",
        "redaction",
        "strict",
    )

    def __init__(
        self,
        mode: str = "full",
        max_bytes: int = 32768,
        redaction: Redaction | None = None,
        *,
        strict: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if mode not in MODES:
            raise ConfigurationError(f"capture must be one of {', '.join(MODES)}, not {mode!r}")
        self.mode = mode
        self.max_bytes = max(max_bytes, _SMALLEST)
        self.redaction = Redaction.default() if redaction is None else redaction
        self.strict = strict
        self._clock = clock
        self._hide = self.redaction.text if self.redaction.callback is None else None
        self._names = Names(self.redaction)
        self._portraits = Portraits()
        self._arguments = Arguments()
        self._shown_names: dict[str, str] = {}

    def value(self, value: Any, *, max_bytes: int | None = None) -> Any:
        """Capture any value as dicts with text keys, lists, texts, numbers, booleans and None.

        Args:
            value: the value; it is not changed, and no iterator, stream or coroutine in it is consumed.
            max_bytes: the most bytes of JSON; None means the capture's own.
        """
        try:
            return self._value(value, self.max_bytes if max_bytes is None else max(max_bytes, _SMALLEST))
        except Exception as error:  # noqa: BLE001 - capture never raises into the program
            return self._failed(error)

    def result(self, value: Any) -> Any:
        """Capture what came back, as far as the mode allows: its value, its type's name, or `None` for nothing."""
        if value is None or self.mode == "off":
            return None
        return clean(type_name(type(value))) if self.mode == "names" else self.value(value)

    def mapping(self, value: Any) -> dict[str, Any]:
        """Capture a value as the object that the API wants: a mapping's entries, or anything else as its `result`."""
        shown = self.value(value if _is_mapping(value) else {"result": value})
        return shown if isinstance(shown, dict) else {"result": shown}

    def arguments(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        skip_first: bool = False,
    ) -> dict[str, Any]:
        """Capture a call's arguments under the names of the function's parameters.

        Arguments that do not fit the function are captured as `{"args": [...], "kwargs": {...}}`.

        Args:
            function: what is called.
            args: its positional arguments.
            kwargs: its keyword arguments.
            skip_first: leave out the first, because it is `self` or `cls`.
        """
        if self.mode == "off":
            return {}
        try:
            try:
                named = self._arguments.bound(function, args, kwargs, skip_first=skip_first)
            except Exception:  # noqa: BLE001 - inspecting may run the callable's own code, and the call may be wrong
                named = {"args": list(args[1:] if skip_first else args), "kwargs": dict(kwargs)}
            return self._kept(named)
        except Exception as error:  # noqa: BLE001 - capture never raises into the program
            return self._failed(error)

    def named(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Capture arguments that have their names already, as far as the mode keeps any."""
        if self.mode == "off":
            return {}
        try:
            return self._kept(dict(arguments))
        except Exception as error:  # noqa: BLE001 - capture never raises into the program
            return self._failed(error)

    def _kept(self, named: dict[str, Any]) -> dict[str, Any]:
        if self.mode == "names":
            kinds = {name: type_name(type(value)) for name, value in islice(named.items(), _MOST_NAMES)}
            return self._fitting({self._names.of(name)[0]: clean(kind) for name, kind in kinds.items()}, self.max_bytes)
        return self._value(named, self.max_bytes)  # type: ignore[no-any-return]  # a dict stays a dict

    def text(self, value: Any, *, max_chars: int = _SUMMARY) -> str:
        """Capture a value as one readable line.

        Args:
            value: a text, or anything else, which is written as JSON would.
            max_chars: the most characters of the line.
        """
        try:
            if type(value) is str and len(value) <= max_chars and value.isascii() and value.isprintable():
                hide = self._hide
                if hide is not None:  # nothing to clean, to cut or to ask: most lines are so
                    text = hide(value)
                    neat = text is value and "  " not in text and text.strip() is text
                    return text if neat else line(text, max_chars)
            if not isinstance(value, str):
                value = self._value(value, max(_SMALLEST, 2 * max_chars))
                text = value if isinstance(value, str) else encode(value).decode()
            else:
                text = self._said(str.__str__(value), 2 * max_chars)
            return line(text, max_chars)
        except Exception as error:  # noqa: BLE001 - capture never raises into the program
            return line(f"capture error: {self._failed(error)['capture_error']}", max_chars)

    def name(self, name: str) -> str:
        """Hide secrets in a name or an id, and change nothing else; the redaction's callback is not asked.

        Two that differ only in their secrets become the same.
        """
        shown = self._shown_names.get(name)
        if shown is None:
            shown = clean(self.redaction.text(name))
            if len(name) <= _LONGEST_NAME:
                if len(self._shown_names) >= _REMEMBERED:
                    self._shown_names.clear()
                self._shown_names[name] = shown
        return shown

    def key(self, key: str) -> str:
        """Hide secrets in an idempotency key: two that differ stay different."""
        shown = self.name(key)
        if shown == key:
            return key
        import hashlib  # loads OpenSSL: hardly any key has a secret in it

        return f"{shown} {hashlib.sha256(key.encode(errors='replace')).hexdigest()[:16]}"

    def summary(self, value: Any) -> str:
        """Say a result in one line: `best: ABC Cleaning, quote: 350` for a mapping, `3 items: a, b, c` for a list.

        Empty for None and in the mode `off`; the type's name in the mode `names`.
        """
        if value is None or self.mode == "off":
            return ""
        try:
            if self.mode == "names":
                return clean(type_name(type(value)))
            if isinstance(value, str):
                return self.text(value)
            return line(summarized(self._value(value, _SUMMARY_BYTES)), _SUMMARY)
        except Exception as error:  # noqa: BLE001 - capture never raises into the program
            return line(f"capture error: {self._failed(error)['capture_error']}", _SUMMARY)

    def call(self, name: str, arguments: dict[str, Any]) -> str:
        """Say a call in one line, `search(city='Chicago')`; its arguments are captured already."""
        return f"{name}({self._put_together(listed(arguments, _ARGUMENTS), _ARGUMENTS)})"

    def returned(self, name: str, data: Any) -> str:
        """Say what a call returned in one line, `search: 3 items`; that is captured already."""
        summary = "" if data is None else line(summarized(data), _SUMMARY)
        if not summary:
            return f"{name} returned"
        said = f"{name}: {summary}"
        # Beside a name that means a secret, whatever it is a secret.
        return (
            self.text(said, max_chars=_RETURNED)
            if self.redaction.is_secret_key(name)
            else self._put_together(said, _RETURNED)
        )

    def _put_together(self, text: str, most: int) -> str:
        """Make a line of parts that are redacted already, each by itself."""
        redaction = self.redaction
        return text if redaction.callback is None and not redaction.patterns else self.text(text, max_chars=most)

    def exception(self, exc: BaseException) -> dict[str, Any]:
        """Capture an exception: type, message, traceback without local variables, cause or context, notes, members."""
        try:
            return self._fitting(described(exc, self._said, most=self.max_bytes // 2), self.max_bytes)
        except Exception as error:  # noqa: BLE001 - capture never raises into the program
            return self._failed(error)

    def error(self, exc: BaseException) -> str:
        """Say an exception in one line: `ValueError: message`."""
        try:
            said, kind = words(exc), type_name(type(exc))
            return line(self._said(f"{kind}: {said}" if said else kind, 2 * _ERROR), _ERROR)
        except Exception as error:  # noqa: BLE001 - capture never raises into the program
            return line(f"capture error: {self._failed(error)['capture_error']}", _ERROR)

    def _value(self, value: Any, max_bytes: int) -> Any:
        if self.redaction.callback is None:
            data = glance(value, self._names.of, self.redaction.text)
            if data is not UNUSUAL and len(encode(data)) <= max_bytes:
                return data
        walk = Walk(self.redaction, self._names, portraits=self._portraits, max_bytes=max_bytes, clock=self._clock)
        data = walk.value(value)
        return data if walk.fits() else fit(data, max_bytes)

    def _fitting(self, data: dict[str, Any], max_bytes: int) -> dict[str, Any]:
        return fit(data, max_bytes)  # type: ignore[no-any-return]  # a dict stays a dict

    def _said(self, text: str, most: int) -> str:
        text = self.redaction.replaced((), text)
        return clean(self.redaction.excerpt(text if type(text) is str else str(text), most))

    def _failed(self, error: Exception) -> dict[str, Any]:
        if self.strict:
            raise error
        return {"capture_error": type_name(type(error))}


def _is_mapping(value: Any) -> bool:
    try:
        return isinstance(value, Mapping)
    except Exception:  # noqa: BLE001 - a proxy of what is gone raises at every look
        return False
