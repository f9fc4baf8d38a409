"""Hide secrets in what is recorded: values beside secret names, token shapes in any text, and what the user adds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from mission_tracer._redact.names import is_secret, is_secret_parameter, normalize
from mission_tracer._redact.shapes import MARGIN, Span, candidate, find
from mission_tracer.errors import ConfigurationError

__all__ = ["REDACTED", "Callback", "Redaction", "is_control_flow"]

REDACTED = "[redacted]"
"""What stands where a secret stood; a rule with a name adds it: `[redacted: jwt]`."""

CALLBACK_FAILED = "[redacted: callback failed]"

Callback = Callable[[tuple[str | int, ...], Any], Any]
"""`(path, value) -> value`: the keys that lead to a value, and the value; what it returns is recorded instead."""

# Shorter than this and without `=` or `:`, no built-in rule can match.
_SHORT = 8
# An exact secret shorter than this counts as a whole word only, and below the second number not at all: an API key
# of "test" in somebody's tests must not blacken every sentence with that word.
_LONG_SECRET = 10
_SHORTEST_SECRET = 5
# Known names are remembered, so many at most; a longer name is judged anew each time.
_REMEMBERED = 2048
_LONGEST_NAME = 64
# Room for what was cut: characters read beyond the end of a cut head, and before the begin of a cut tail.
_TAIL_MARGIN = 4096
_SMALLEST_WITH_TAIL = 256
_RUN = re.compile(r"\S*")
_METACHARACTERS = frozenset("\\^$*+?{}[]|()")
_CONTROL_FLOW = (KeyboardInterrupt, SystemExit, GeneratorExit)


def is_control_flow(error: BaseException) -> bool:
    """Tell what is meant for the program (Ctrl-C, exit, cancellation) from the failure of a value's own code."""
    return isinstance(error, _CONTROL_FLOW) or type(error).__name__ in {"CancelledError", "Cancelled"}


@dataclass(frozen=True, slots=True, eq=False)
class Redaction:
    """Hide secrets; built once from the settings and never changed. Use `default` or `build`.

    Args:
        builtin: whether the built-in rules apply.
        names: more secret names, normalized.
        patterns: more patterns; what they match anywhere in a text is hidden.
        callback: asked for every value on its way; if it raises, the value is hidden.
        secrets: texts that are hidden wherever they stand.
    """

    builtin: bool = True
    names: frozenset[str] = frozenset()
    patterns: tuple[re.Pattern[str], ...] = ()
    callback: Callback | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    _exact: tuple[tuple[str, re.Pattern[str]], ...] = field(default=(), init=False, repr=False)
    _known: dict[tuple[str, bool], bool] = field(default_factory=dict, init=False, repr=False)
    _candidate: re.Pattern[str] = field(default_factory=candidate, init=False, repr=False)
    _margin: int = field(default=MARGIN, init=False, repr=False)

    def __post_init__(self) -> None:
        exact = tuple((one, _literally(one)) for secret in self.secrets for one in _spellings(secret))
        object.__setattr__(self, "_exact", exact)
        object.__setattr__(self, "_margin", max([MARGIN, *(len(one) for one, _ in exact)]))

    @classmethod
    def default(
        cls,
        extra_names: Iterable[str] = (),
        patterns: Iterable[str | re.Pattern[str]] = (),
        callback: Callback | None = None,
        secrets: Iterable[str] = (),
    ) -> Redaction:
        """Apply the built-in rules, and whatever is added to them.

        Args:
            extra_names: more names whose values are hidden, in any spelling.
            patterns: more regular expressions; what they match is hidden.
            callback: `(path, value) -> value`, asked for every value; if it raises, the value is hidden.
            secrets: texts hidden wherever they stand; shorter than five characters they are ignored.

        Raises:
            ConfigurationError: a pattern does not compile, or something is not of the named kind.
        """
        if callback is not None and not callable(callback):
            raise ConfigurationError(f"redact: the callback must be callable, not {callback!r}")
        return cls(
            names=frozenset(normalize(_checked_name(name)) for name in _several(extra_names)) - {""},
            patterns=tuple(_compiled(pattern) for pattern in _several(patterns)),
            callback=callback,
            secrets=_distinct(secrets),
        )

    @classmethod
    def build(cls, setting: object, *, secrets: Iterable[str] = ()) -> Redaction:
        r"""Make a redaction of what the setting `redact` holds.

        Args:
            setting: None or True, the built-in rules; False, none of them (`secrets` stay hidden); a `Redaction`; a
                callable `(path, value) -> value`; or a list of names (`"customer_id"`) and patterns (compiled, or
                text with a character special to regular expressions, such as `"ACME-\d+"`).
            secrets: texts hidden in any case, such as the API key.

        Raises:
            ConfigurationError: the setting is none of these; the message says what is wrong with it.
        """
        if setting is None or setting is True:
            return cls.default(secrets=secrets)
        if setting is False:
            return cls(builtin=False, secrets=_distinct(secrets))
        if isinstance(setting, Redaction):
            return replace(setting, secrets=_distinct((*setting.secrets, *secrets)))
        if isinstance(setting, (str, re.Pattern)):
            setting = [setting]
        if isinstance(setting, (list, tuple, set, frozenset)):
            names, patterns = _sorted_out(setting)
            return cls.default(names, patterns, secrets=secrets)
        if callable(setting):
            return cls.default(callback=setting, secrets=secrets)
        raise ConfigurationError(
            "redact must be None, False, a list of names and patterns, a callable (path, value) -> value or a"
            f" Redaction, not {type(setting).__name__}"
        )

    def is_secret_key(self, name: str) -> bool:
        """Tell whether the value beside this name is hidden, whatever it is."""
        return self._is_secret(name, False)  # noqa: FBT003 - the one predicate, for names that are no parameters

    def _is_secret(self, name: str, parameter: bool) -> bool:  # noqa: FBT001 - asked positionally on the hot path
        known = self._known.get((name, parameter))
        if known is not None:
            return known
        if self.builtin:
            known = (is_secret_parameter if parameter else is_secret)(name, self.names)
        else:
            known = bool(self.names) and normalize(name) in self.names
        if len(name) <= _LONGEST_NAME:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[name, parameter] = known
        return known

    def text(self, text: str) -> str:
        """Hide every secret in a text; the same text comes back if there is none. Linear in its length."""
        if not self.patterns:
            for one, _ in self._exact:
                if one in text:
                    break
            else:
                if (
                    not self.builtin
                    or (len(text) < _SHORT and "=" not in text and ":" not in text)
                    or self._candidate.search(text) is None
                ):
                    return text
        return _spliced(text, self._spans(text), 0, len(text))

    def excerpt(self, text: str, limit: int) -> str:
        """Hide every secret in the begin and the end of a text, leaving out the middle, whose length is told.

        A secret that the cut would halve is hidden whole; only what is kept, and a margin around it, is read.

        Args:
            text: a text of any length.
            limit: about how many of its characters are kept.
        """
        if len(text) <= limit + self._margin:
            return self.text(text)
        tail = limit // 3 if limit >= _SMALLEST_WITH_TAIL else 0
        head = limit - tail
        begin = text[: head + self._margin]
        kept = _spliced(begin, self._spans(begin), 0, head)
        end, shown = self._tail(text, head, tail) if tail else ("", 0)
        return f"{kept} ... {len(text) - head - shown} characters cut ... {end}".rstrip()

    def replaced(self, path: tuple[str | int, ...], value: Any) -> Any:
        """Ask the callback for what is recorded instead of a value; without one it is the value itself.

        A callback that raises must not leak what it was asked to hide: the value is hidden.
        """
        if self.callback is None:
            return value
        try:
            return self.callback(path, value)
        except BaseException as error:
            if is_control_flow(error):
                raise
            return CALLBACK_FAILED

    def _spans(self, text: str) -> list[Span]:
        spans = find(text, self._is_secret) if self.builtin else []
        for one, literal in self._exact:
            if one in text:
                spans += [(*match.span(), "secret") for match in literal.finditer(text)]
        for pattern in self.patterns:
            spans += [(*match.span(), "pattern") for match in pattern.finditer(text) if match.end() > match.start()]
        return spans

    def _tail(self, text: str, head: int, tail: int) -> tuple[str, int]:
        """Take the end of a text, begun where no secret can have begun earlier, and say how long it was.

        Read from a margin before what is kept. A run without a blank, or a private key, that reaches over the begin
        of that margin is left out whole, because its own begin, by which it would be known, is not seen.
        """
        begin = max(head, len(text) - tail - max(_TAIL_MARGIN, self._margin))
        run = _RUN.match(text, begin)
        window = text[begin if run is None else run.end() :]
        close = window.find("-----END ")
        if close >= 0 and window.find("-----BEGIN ", 0, close) < 0:
            window = window[close:]
        keep = max(len(window) - tail, 0)
        return _spliced(window, self._spans(window), keep, len(window)), len(window) - keep


def _spliced(text: str, spans: list[Span], begin: int, stop: int) -> str:
    """Cut a text, with a marker in place of every span that reaches into what is kept."""
    if not spans:
        return text[begin:stop]
    spans.sort()
    parts: list[str] = []
    at = begin
    for start, end, rule in spans:
        if start >= stop:
            break
        if end <= at:
            continue
        if start >= at or not parts:
            parts += [text[at : max(start, at)], f"[redacted: {rule}]" if rule else REDACTED]
        at = end
    parts.append(text[at:stop])
    return "".join(parts)


def _several(given: Iterable[Any]) -> Iterable[Any]:
    """Take a lone string or pattern as a list of one, instead of as its letters."""
    return (given,) if isinstance(given, (str, re.Pattern)) else given


def _distinct(secrets: Iterable[object]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(one for one in _several(secrets) if isinstance(one, str) and len(one) >= _SHORTEST_SECRET)
    )


def _spellings(secret: str) -> set[str]:
    """Give every form a secret takes on its way through JSON, `repr` and URLs."""
    return {
        secret,
        _in_json(secret),
        repr(secret)[1:-1],
        quote(secret, safe="", errors="replace"),
        secret.strip(),
    } - {""}


def _in_json(secret: str) -> str:
    if secret.isascii() and secret.isprintable():
        return secret.replace("\\", "\\\\").replace('"', '\\"')
    import json  # hardly any secret needs it, and a process that lives for a moment has no time for it

    return json.dumps(secret)[1:-1]


def _literally(secret: str) -> re.Pattern[str]:
    literal = re.escape(secret)
    return re.compile(literal if len(secret) >= _LONG_SECRET else rf"(?<!\w){literal}(?!\w)")


def _checked_name(name: object) -> str:
    if not isinstance(name, str):
        raise ConfigurationError(f"redact: a name must be a string, not {type(name).__name__}")
    return name


def _compiled(pattern: object) -> re.Pattern[str]:
    if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
        return pattern
    if not isinstance(pattern, str):
        raise ConfigurationError(f"redact: a pattern must be a string or compiled from one, not {pattern!r}")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(f"redact: the pattern {pattern!r} does not compile: {error}") from error


def _sorted_out(setting: Iterable[object]) -> tuple[list[str], list[str | re.Pattern[str]]]:
    """Tell the names of a list from its patterns."""
    names: list[str] = []
    patterns: list[str | re.Pattern[str]] = []
    for one in setting:
        if isinstance(one, str) and _METACHARACTERS.isdisjoint(one):
            names.append(one)
        else:
            patterns.append(_compiled(one))
    return names, patterns
