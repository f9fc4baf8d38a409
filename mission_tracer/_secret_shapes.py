"""Where secrets stand in a text: token shapes, credentials in URLs, `name=value` with a telling name. Pure.

One pass finds every candidate: each alternative of the pattern is hung on a character that ordinary prose seldom
holds, so the engine skips the rest at some ten nanoseconds a character, and none repeats a repetition, so the time
is linear in the text whatever it holds. What follows a candidate is decided by code that only moves forward.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable

__all__ = ["MARGIN", "Span", "find"]

Span = tuple[int, int, str]
"""Start, end and the rule's name (empty for a value that stands beside a secret name)."""

MARGIN = 640
"""Characters within which every shape can be told from its beginning: what a cut text is read beyond the cut."""

_FREE = "(?<![A-Za-z0-9])"

# (what stands before the hinge, what stands after it) -> the rule. `task-force` is no `sk-` key: no letter or
# digit may stand before the whole, which is what `_FREE` says.
_AFTER_DASH = (
    ("sk", r"(?=[A-Za-z_-]{0,32}[0-9])[A-Za-z0-9_-]{12,}|[A-Za-z0-9_-]{32,}", "api_key"),
    ("xox[a-z]", r"[A-Za-z0-9-]{8,}", "slack_token"),
    ("xapp", r"[0-9]-[A-Za-z0-9-]{16,}", "slack_app_token"),
    ("gl(?:pat|ptt|cbt)", r"[A-Za-z0-9_.-]{16,}", "gitlab_token"),
    ("gl(?:dt|rt)", r"[A-Za-z0-9_.-]{16,}", "gitlab_deploy_token"),
    ("GOCSPX", r"[A-Za-z0-9_-]{16,}", "google_secret"),
    ("xai", r"[A-Za-z0-9]{32,}", "xai_key"),
    ("pplx", r"[A-Za-z0-9]{30,}", "perplexity_key"),
    ("tvly", r"[A-Za-z0-9_-]{16,}", "tavily_key"),
    ("pypi", r"[A-Za-z0-9_-]{40,}", "pypi_token"),
    ("AGE", r"SECRET-KEY-1[A-Z0-9]{20,}", "age_key"),
)
_AFTER_UNDERSCORE = (
    ("[rs]k", r"(?:live|test)_[A-Za-z0-9]{8,}|[a-f0-9]{40,}", "stripe_key"),
    ("gh[pousr]", r"[A-Za-z0-9]{16,}", "github_token"),
    ("github", r"pat_[A-Za-z0-9_]{16,}", "github_fine_token"),
    ("whsec", r"[A-Za-z0-9+/]{16,}={0,2}", "webhook_secret"),
    ("gsk", r"[A-Za-z0-9]{32,}", "groq_key"),
    ("hf", r"[A-Za-z0-9]{20,}", "huggingface_token"),
    ("npm", r"[A-Za-z0-9]{30,}", "npm_token"),
    ("r8", r"[A-Za-z0-9]{30,}", "replicate_token"),
    ("lsv2", r"[a-z]{2}_[A-Za-z0-9_]{20,}", "langsmith_key"),
    ("shp(?:at|ca|pa|ss)", r"[A-Fa-f0-9]{32}", "shopify_token"),
    ("do[opr]", r"v1_[a-f0-9]{32,}", "digitalocean_token"),
)
# Characters of a shape that stand before its hinge, where that is not its first character.
_BEFORE = {rule: len(re.sub(r"\[.*?\]", "?", re.sub(r"\(\?:(\w+).*?\)", r"\1", prefix))) for prefix, _, rule in
           _AFTER_DASH + _AFTER_UNDERSCORE} | {"jwt": 2, "google_token": 3, "sendgrid_key": 1}


def _hung(hinge: str, shapes: tuple[tuple[str, str, str], ...]) -> str:
    return "|".join(f"(?<={_FREE}{before}{hinge})(?P<{rule}>{after})" for before, after, rule in shapes)


_CANDIDATE = re.compile(
    r":|=|>|%3D"
    # A dash: an option of a command line, a key in PEM, or one of the shapes above.
    r"|-(?:(?P<private_key>----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----)"
    r"|(?<!\S-)-(?P<option>[A-Za-z][A-Za-z0-9_-]{1,64})[ \t]"
    rf"|(?=[A-Za-z0-9_-]{{8}})(?:{_hung('-', _AFTER_DASH)}))"
    rf"|_(?=[A-Za-z0-9_+/-]{{8}})(?:{_hung('_', _AFTER_UNDERSCORE)})"
    # Telnyx: KEY, 32 hexadecimal digits, `_` and 22 more; before 2021 KEY and 55 characters.
    r"|K(?:(?<![A-Za-z0-9]K)(?P<telnyx_key>EY(?:(?![_-])(?=[A-Za-z_-]{0,24}[0-9])[0-9A-Za-z_-]{20,}|[0-9A-Za-z_-]{50,}))"
    r"|(?<=SK)(?P<twilio_key>[0-9a-f]{32}(?![0-9a-f])))"
    # Amazon: the key's id, and the secret where it follows at once.
    r"|A(?<![A-Za-z0-9]A)(?:(?P<aws_key>(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?:[\s,:;=|\"'/]{1,4}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+]))?)"
    r"|(?P<google_key>Iza[A-Za-z0-9_-]{30,}))"
    rf"|2(?<={_FREE}ya2)(?P<google_token>9\.[A-Za-z0-9_-]{{16,}})"
    rf"|G(?<={_FREE}SG)(?P<sendgrid_key>\.[A-Za-z0-9_-]{{16,}}\.[A-Za-z0-9_-]{{16,}})"
    rf"|J(?<={_FREE}eyJ)(?P<jwt>[A-Za-z0-9_-]{{16,}}[A-Za-z0-9_.=-]*)"
    r"|B(?<![A-Za-z0-9]B)(?:(?P<bearer_capital>(?i:earer))|(?P<basic_capital>(?i:asic)))[ \t]"
    r"|b(?<![A-Za-z0-9]b)(?:(?P<bearer>earer)|(?P<basic>asic))[ \t]"
)

# The name before `:`, `=` or `>`, read backwards: perhaps blanks, perhaps quotes and a bracket, then the name.
_NAME_BACKWARDS = re.compile(r"([ \t]{0,4}[\]\"'`\\]{0,6})([A-Za-z0-9_.\-]{1,64})(.?)", re.DOTALL)
_NAME_WINDOW = 76

_AFTER_SEPARATOR = re.compile(r"[:=>]{0,2}[ \t]{0,16}(?:[bBrRfFuU]{1,2}(?=[\"']))?")
_ESCAPED_QUOTE = re.compile(r"\\{1,8}[\"']")
_VALUE_END = re.compile(
    r"\s|[\"'`](?=[\s,)}\]:;]|$)|\\{1,8}[\"'](?=[\s,)}\]:;\\]|$)|</|&(?=[A-Za-z0-9_.%\[\]-]{1,64}=)|;(?=\s|$|[A-Za-z_ ]{1,40}=)"
)
_HEADER_END = re.compile(r"[\r\n]|\\[rn]|[\"'`](?=[\s,)}\]:;]|$)")
_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "cookies", "set-cookie"})
_BRACKET = re.compile(r"[\[\](){}\n]")
_BRACKETED = 4096
_SCHEME = re.compile(r"(?i:bearer|basic|token|digest|apikey|negotiate|bot)[ \t]+")
_GIVEN_BACK = ",)]}\"'`"

# What is no secret although it stands beside a secret name: nothing, yes or no, a type, our own marker.
_INNOCENT = re.compile(
    r"(?:|none|null|nil|undefined|true|false|str|bytes|int|bool|float|optional\[\w{1,16}\]|str \| None"
    r"|\*{3,}|<[a-z_ -]{1,40}>|\$\{?\w{1,64}\}?|\{\w{0,64}\}|%s|\.{3}|\[redacted(?:: [^\]]{1,64})?\])[,;.)\]}]{0,4}",
    re.IGNORECASE,
)

_BEARER = re.compile(
    r"[ \t]{0,8}[\"']?(?!(?i:and|auth|authentication|authorization|certificates?|credentials?|error|format|header|headers|is|method|not|of"
    r"|or|prefix|realm|scheme|token|tokens|type|was)(?![A-Za-z0-9._~+/=-]))([A-Za-z0-9._~+/=-]{6,})"
)
_BASIC = re.compile(r"[ \t]{0,8}([A-Za-z0-9+/_-]{6,}={0,2})")
_USER_INFO = re.compile(
    r"(?:[^\s/?#\"'<>:@]{0,256}:[^\s/?#\"'<>]{0,256}|[^\s/?#\"'<>:@]{20,256})@"
    r"|[^\s/?#\"'<>:@]{0,256}:(?![0-9]{1,5}[/?#])[^\s\"'<>@]{1,256}@"
)


def find(text: str, is_secret: Callable[[str, bool], bool]) -> list[Span]:
    """Find every stretch of a text that must not be shown, in order; they may overlap.

    Args:
        text: what is searched.
        is_secret: answers whether a name (and whether it is a URL's parameter) means a secret.
    """
    spans: list[Span] = []
    done = 0
    for match in _CANDIDATE.finditer(text):
        start = match.start()
        rule = match.lastgroup
        if rule is None:
            if start >= done and (span := _assigned(text, start, is_secret)) is not None:
                spans.append(span)
                done = span[1]
            continue
        if rule == "option":
            if start >= done and is_secret(match["option"], False):  # noqa: FBT003 - a plain predicate of two
                spans.append(_value(text, match.end(), match["option"]))
                done = spans[-1][1]
            continue
        span = _shaped(text, match, rule)
        if span is not None and span[1] > done:
            spans.append(span)
            done = span[1]
    return spans


def _shaped(text: str, match: re.Match[str], rule: str) -> Span | None:
    """Say how far the token goes that begins here, or `None` if it only looked like one."""
    start, end = match.span()
    if rule == "private_key":
        close = text.find("-----END", end)
        return start, len(text) if close < 0 else _line_end(text, close), "private key"
    if rule.startswith("bearer"):
        token = _BEARER.match(text, end)
        return None if token is None else (*token.span(1), "bearer")
    if rule.startswith("basic"):
        token = _BASIC.match(text, end)
        return None if token is None or not _is_basic(token[1]) else (*token.span(1), "basic")
    return start, end, rule.replace("_", " ")


def _line_end(text: str, close: int) -> int:
    """Find the end of the line `-----END ...-----`."""
    dashes = text.find("-----", close + 8, close + 80)
    return len(text) if dashes < 0 else dashes + 5


def _is_basic(token: str) -> bool:
    """Tell a user and password in base64 from the word after `basic`."""
    token = token.rstrip("=").replace("-", "+").replace("_", "/")[:1024]
    try:
        return b":" in binascii.a2b_base64(token[: len(token) // 4 * 4]) or (
            len(token) >= 16 and any(one.isdigit() for one in token)
        )
    except binascii.Error:
        return False


def _assigned(text: str, at: int, is_secret: Callable[[str, bool], bool]) -> Span | None:
    """Find the secret on the right of the separator at this place, if a secret name stands on its left."""
    if text.startswith("://", at):
        user = _USER_INFO.match(text, at + 3)
        return None if user is None else (at + 3, user.end() - 1, "url")
    before = text[max(0, at - _NAME_WINDOW) : at]
    match = _NAME_BACKWARDS.match(before[::-1])
    if match is None:
        return None
    name = match[2][::-1]
    ahead = match[3]
    if text[at] == ">":
        # Only `<password>...` is an assignment; `a -> b` and `a > b` are not.
        if ahead != "<" or match[1]:
            return None
        if is_secret(name, False):  # noqa: FBT003 - a plain predicate of two
            return _innocent(text, at + 1, _until(text.find("</", at), text))
        return None
    if not is_secret(name, text[at] == "=" and ahead in {"?", "&", ";"}):
        return None
    return _innocent(text, *_value(text, at + 1, name)[:2])


def _until(found: int, text: str) -> int:
    return len(text) if found < 0 else found


def _innocent(text: str, start: int, end: int) -> Span | None:
    """Let a value pass that says nothing, such as `None` or a type's name."""
    if end - start <= 80 and _INNOCENT.fullmatch(text, start, end) is not None:
        return None
    return start, end, ""


def _value(text: str, at: int, name: str) -> Span:
    """Find where the value beside a secret name begins and ends, quoted, bracketed or bare."""
    start = _AFTER_SEPARATOR.match(text, at).end()  # type: ignore[union-attr]  # it can match nothing, so it matches
    escaped = _ESCAPED_QUOTE.match(text, start)
    if escaped is not None:
        return escaped.end(), _until(text.find(escaped[0], escaped.end()), text), ""
    quote = text[start : start + 1]
    if quote and quote in "\"'`":
        quote = quote * 3 if text.startswith(quote * 3, start) else quote
        start += len(quote)
        return start, _closing(text, start, quote), ""
    if name.lower() in _HEADERS:
        end = _HEADER_END.search(text, start)
        return start, len(text) if end is None else end.start(), ""
    scheme = _SCHEME.match(text, start)
    ending = _VALUE_END.search(text, start if scheme is None else scheme.end())
    end = len(text) if ending is None else ending.start()
    opened = _BRACKET.search(text, start, end)
    if opened is not None and opened[0] in "([{":
        return start, _balanced(text, opened.start(), end), ""
    while end > start and text[end - 1] in _GIVEN_BACK:
        end -= 1
    return start, end, ""


def _closing(text: str, start: int, quote: str) -> int:
    """Find the quote that ends a value, minding backslashes; without one the value goes to the end."""
    at = text.find(quote, start)
    while at > 0:
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
    for match in _BRACKET.finditer(text, start, limit):
        if match[0] in "([{":
            depth += 1
        elif match[0] != "\n":
            depth -= 1
            if depth <= 0:
                return max(least, match.end()) if depth == 0 else least
    return max(least, limit)
