"""Where the value beside a secret name begins and ends: `name=value`, `"name": "value"`, `--name value`. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Span", "assigned", "optioned", "unless_innocent", "value_at"]

# The name, read backwards from the separator: perhaps blanks, perhaps quotes and a bracket, the name, what is before.
_NAME_BACKWARDS = re.compile(r"([ \t]{0,4}[\]\"'`\\]{0,10})([A-Za-z0-9_.\-]{1,64})(.?)([A-Za-z]{0,16})", re.DOTALL)
_NAME_WINDOW = 100
_QUOTES = frozenset("\"'`")
_MAY_END_A_NAME = frozenset(" \t]_-\\") | _QUOTES
_LABEL = re.compile(
    r"(?:name|key)[\"'\\]{0,9}\s{0,2}[:=]\s{0,2}[\"'\\]{0,9}([\w.\-]{1,64})[\"'\\]{0,9},?\s{0,2}[\"'\\]{0,9}"
    r"value[\"'\\]{0,9}\s{0,2}\Z",
    re.IGNORECASE,
)
_CLOSING = frozenset(")]")
_ESCAPED_BLANKS = frozenset("nrt")
# `API key: ...`: the last word alone tells nothing, the two together do.
_SECOND_WORDS = frozenset({"key", "keys", "id", "code"})

_BEFORE_VALUE = re.compile(r"[:=>]{0,2}[ \t]{0,16}(?:[bBrRfFuU]{1,2}(?=\\{0,8}[\"']))?")
_ESCAPED_QUOTE = re.compile(r"\\{1,8}[\"']")
_END = re.compile(
    r"\s|[\"'`](?=[\s,)}\]:;]|$)|\\{1,8}[\"'](?=[\s,)}\]:;\\]|$)|\\[rn]|</"
    r"|&(?=[A-Za-z0-9_.%\[\]-]{1,64}=)|%26|;(?=\s|$|[A-Za-z_ ]{1,40}=)"
)
_LINE_END = re.compile(r"[\r\n]|\\[rn]")
# Headers whose value may hold blanks: bare, it goes on to the end of the line.
_HEADERS = ("authorization", "cookie", "cookies")
_SCHEME = re.compile(r"(?i:bearer|basic|token|digest|apikey|negotiate|bot)[ \t]+")
_BRACKET = re.compile(r"[\[\](){}]")
_OPENING = frozenset("([{")
_BRACKETED = 4096
_GIVEN_BACK = frozenset(",)]}\"'`")

# What is no secret although it stands beside a secret name: nothing, yes or no, a type, a placeholder, our own marker.
_INNOCENT = re.compile(
    r"(?:none|null|nil|undefined|true|false|str|bytes|int|bool|float|optional\[\w{1,16}\]|\*{3,}|<[a-z_ -]{1,40}>"
    r"|\$\{?\w{1,64}\}?|\{\w{0,64}\}|%s|\.{3}|\[redacted(?:: [^\]]{1,64})?\]?)[,;.)\]}]{0,4}",
    re.IGNORECASE,
)
_LONGEST_INNOCENT = 96

_USER_INFO = re.compile(
    r"(?:[^\s/?#\"'<>:@]{0,256}:[^\s/?#\"'<>]{0,256}|[^\s/?#\"'<>:@]{20,256})@"
    r"|[^\s/?#\"'<>:@]{0,256}:(?![0-9]{1,5}[/?#])[^\s\"'<>@]{1,256}@"
)
_LONGEST_USER_INFO = 520

Span = tuple[int, int, str]
"""Start, end and the rule's name (empty for a value that stands beside a secret name)."""


def assigned(text: str, at: int, after: int, is_secret: Callable[[str, bool], bool]) -> Span | None:
    """Find the secret to the right of a separator, if a secret name (or a URL's scheme) stands to its left.

    Args:
        text: the text.
        at: where the separator begins.
        after: where it ends.
        is_secret: answers whether a name (and whether it is a URL's parameter) means a secret.
    """
    last = text[at - 1] if at else ""
    if not (last.isalnum() or last in _MAY_END_A_NAME) or (found := _name_before(text, at)) is None:
        return None
    name, ahead = found[2][::-1], found[3]
    separator = text[at]
    if separator == ":" and text.startswith("://", at):
        return _user_info(text, at + 3)
    if separator == ">":
        # Only `<password>...` is an assignment; `a -> b` and `a > b` are not.
        tag = ahead == "<" and not found[1] and is_secret(name, False)  # noqa: FBT003 - a predicate of two
        return unless_innocent(text, after, _found_or_end(text, "</", after)) if tag else None
    if separator == ",":
        return _paired(text, after, name, found.string[found.end(3) :], is_secret)
    if not is_secret(name, separator != ":" and ahead in {"?", "&", ";"}):
        other = _other_name(text, at, name, found)
        if other is None or not is_secret(other, False):  # noqa: FBT003 - a predicate of two
            return None
        name = other
    return unless_innocent(text, *value_at(text, after, name, ahead))


def _name_before(text: str, at: int) -> re.Match[str] | None:
    return _NAME_BACKWARDS.match(text[at - 1 : at - _NAME_WINDOW if at >= _NAME_WINDOW else None : -1])


def _other_name(text: str, at: int, name: str, found: re.Match[str]) -> str | None:
    """Find the name that tells more than the word before the separator, if there is one."""
    ahead = found[3]
    if ahead == " " and name.lower() in _SECOND_WORDS:
        return f"{found[4][::-1]} {name}"
    if ahead == "\\" and name[0] in _ESCAPED_BLANKS:
        # `\\nauth: ...` in the repr of several lines: the letter belongs to the backslash.
        return name[1:]
    if name.lower() == "value":
        # As in `{"name": "Authorization", "value": ...}`.
        label = _LABEL.search(text, max(0, at - _NAME_WINDOW), at)
        return None if label is None else label[1]
    return None


def _paired(text: str, after: int, name: str, ahead: str, is_secret: Callable[[str, bool], bool]) -> Span | None:
    """Find the second of a written pair, `('cookie', '...')`, or what follows a written option, `'--token', '...'`."""
    if not (name.startswith("--") or ahead.lstrip("bBuU\\")[:1] in {"(", "["}):
        return None
    if not is_secret(name, False):  # noqa: FBT003 - a predicate of two
        return None
    start, end = value_at(text, after, name, "")
    closed = text[start - 1 : start] in _QUOTES and (
        name.startswith("--") or text[end : end + 10].lstrip("\\\"'")[:1] in _CLOSING
    )
    return unless_innocent(text, start, end) if closed else None


def _found_or_end(text: str, what: str, at: int) -> int:
    found = text.find(what, at)
    return len(text) if found < 0 else found


def optioned(text: str, after: int, name: str, is_secret: Callable[[str, bool], bool]) -> Span | None:
    """Find the secret that follows a command line's option, as in `--password hunter2`."""
    if not is_secret(name, False):  # noqa: FBT003 - a predicate of two
        return None
    return unless_innocent(text, *value_at(text, after, name, ""))


def _user_info(text: str, at: int) -> Span | None:
    """Find `user:password` (or a long user alone) before the host of a URL."""
    if text.find("@", at, at + _LONGEST_USER_INFO) < 0:
        return None
    found = _USER_INFO.match(text, at)
    return None if found is None else (at, found.end() - 1, "url")


def unless_innocent(text: str, start: int, end: int) -> Span | None:
    """Let a value pass that says nothing, such as `None` or the name of a type."""
    if end <= start or (end - start <= _LONGEST_INNOCENT and _INNOCENT.fullmatch(text, start, end) is not None):
        return None
    return start, end, ""


def value_at(text: str, at: int, name: str, ahead: str) -> tuple[int, int]:
    """Find where a value begins and ends: quoted, bracketed, a header's or a bare word."""
    opening = _BEFORE_VALUE.match(text, at)
    start = at if opening is None else opening.end()
    escaped = _ESCAPED_QUOTE.match(text, start)
    if escaped is not None:
        return escaped.end(), _found_or_end(text, escaped[0], escaped.end())
    first = text[start : start + 1]
    if first in _QUOTES:
        quote = first * 3 if text.startswith(first * 3, start) else first
        return start + len(quote), _closing(text, start + len(quote), quote)
    if first in _OPENING:
        return start, _balanced(text, start, start)
    if name.lower().endswith(_HEADERS):
        return start, _header_end(text, start, ahead)
    scheme = _SCHEME.match(text, start)
    found = _END.search(text, start if scheme is None else scheme.end())
    end = len(text) if found is None else found.start()
    bracket = _BRACKET.search(text, start, end)
    if bracket is not None and bracket[0] in _OPENING:
        return start, _balanced(text, bracket.start(), end)
    while end > start and text[end - 1] in _GIVEN_BACK:
        end -= 1
    return start, end


def _header_end(text: str, start: int, ahead: str) -> int:
    """Find the end of a header's value: the quote that opened before its name, or the end of the line."""
    found = _LINE_END.search(text, start)
    end = len(text) if found is None else found.start()
    close = text.find(ahead, start, end) if ahead in _QUOTES else -1
    return end if close < 0 else close


def _closing(text: str, start: int, quote: str) -> int:
    """Find the quote that ends a value, minding backslashes; without one the value goes to the end."""
    at = text.find(quote, start)
    while at >= 0:
        before = at
        while before > start and text[before - 1] == "\\":
            before -= 1
        if (at - before) % 2 == 0:
            return at
        at = text.find(quote, at + 1)
    return len(text)


def _balanced(text: str, start: int, least: int) -> int:
    """Find where a bracketed value ends, looking a few thousand characters ahead; all of those if it does not."""
    depth = 0
    limit = min(len(text), start + _BRACKETED)
    for bracket in _BRACKET.finditer(text, start, limit):
        depth += 1 if bracket[0] in _OPENING else -1
        if depth == 0:
            return max(least, bracket.end())
    return max(least, limit)
