"""Where secrets stand in a text: token shapes, credentials in URLs, `name=value` with a telling name. Pure.

One pass finds every candidate: each alternative of the pattern is hung on a character that ordinary prose seldom
holds, so the engine skips the rest at some ten nanoseconds a character, and none repeats a repetition, so the time
is linear in the text whatever it holds. What follows a candidate is decided by code that only moves forward.
"""

from __future__ import annotations

import binascii
import functools
import re
from typing import TYPE_CHECKING

from mission_tracer._redact.commands import OPTION, commanded
from mission_tracer._redact.values import Span, assigned, optioned

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MARGIN", "Span", "candidate", "find"]

MARGIN = 640
"""Characters within which every shape can be told from its beginning: what a cut text is read beyond the cut."""

# No letter or digit may stand before a token: `task-force` holds no `sk-` key.
_FREE = "(?<![A-Za-z0-9])"

# What stands before the dash and its length; what follows the dash; the rule.
_AFTER_DASH = (
    ("sk", 2, r"(?=[A-Za-z_-]{0,32}[0-9])[A-Za-z0-9_-]{12,}|[A-Za-z0-9_-]{32,}", "api_key"),
    ("xox[a-z]", 4, r"[A-Za-z0-9-]{8,}", "slack_token"),
    ("xapp", 4, r"[0-9]-[A-Za-z0-9-]{16,}", "slack_app_token"),
    ("gl(?:pat|ptt|cbt)", 5, r"[A-Za-z0-9_.-]{16,}", "gitlab_token"),
    ("gl(?:dt|rt)", 4, r"[A-Za-z0-9_.-]{16,}", "gitlab_deploy_token"),
    ("GOCSPX", 6, r"[A-Za-z0-9_-]{16,}", "google_secret"),
    ("xai", 3, r"[A-Za-z0-9]{32,}", "xai_key"),
    ("pplx", 4, r"[A-Za-z0-9]{30,}", "perplexity_key"),
    ("tvly", 4, r"[A-Za-z0-9_-]{16,}", "tavily_key"),
    ("pypi", 4, r"[A-Za-z0-9_-]{40,}", "pypi_token"),
    ("AGE", 3, r"SECRET-KEY-1[A-Z0-9]{20,}", "age_key"),
)
_AFTER_UNDERSCORE = (
    ("[rs]k", 2, r"(?:live|test)_[A-Za-z0-9]{8,}|[a-f0-9]{40,}", "stripe_key"),
    ("gh[pousr]", 3, r"[A-Za-z0-9]{16,}", "github_token"),
    ("github", 6, r"pat_[A-Za-z0-9_]{16,}", "github_fine_token"),
    ("whsec", 5, r"[A-Za-z0-9+/]{16,}={0,2}", "webhook_secret"),
    ("gsk", 3, r"[A-Za-z0-9]{32,}", "groq_key"),
    ("hf", 2, r"[A-Za-z0-9]{20,}", "huggingface_token"),
    ("npm", 3, r"[A-Za-z0-9]{30,}", "npm_token"),
    ("r8", 2, r"[A-Za-z0-9]{30,}", "replicate_token"),
    ("lsv2", 4, r"[a-z]{2}_[A-Za-z0-9_]{20,}", "langsmith_key"),
    ("shp(?:at|ca|pa|ss)", 5, r"[A-Fa-f0-9]{32}", "shopify_token"),
    ("do[opr]", 3, r"v1_[a-f0-9]{32,}", "digitalocean_token"),
)
# How far before the match the token begins, for the rules hung on a character inside it.
_BEFORE = {rule: width for _, width, _, rule in _AFTER_DASH + _AFTER_UNDERSCORE}
_BEFORE |= {"jwt": 2, "google_token": 2, "sendgrid_key": 1, "twilio_key": 1}


def _hung(hinge: str, shapes: tuple[tuple[str, int, str, str], ...]) -> str:
    return "|".join(f"(?<={_FREE}{before}{hinge})(?P<{rule}>{after})" for before, _, after, rule in shapes)


_CANDIDATE = (
    r":|=|>|%3D|,(?<=[\"'],)(?= ?b?\\{0,8}[\"'])"
    # A dash: a private key in PEM, an option of a command line, or a shape of the table.
    r"|-(?:(?P<private_key>----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----)"
    rf"|{OPTION}"
    r"|(?:(?<![A-Za-z0-9]-)|(?<=\\[nrt]-))-(?P<option>[A-Za-z][A-Za-z0-9_-]{1,64})[ \t]"
    # (Looking at two characters first spares a UUID or a snake_case name the whole table.)
    rf"|(?<=[A-Za-z]{{2}}-)(?=[A-Za-z0-9_-]{{8}})(?:{_hung('-', _AFTER_DASH)}))"
    rf"|_(?<=[A-Za-z][A-Za-z0-9]_)(?=[A-Za-z0-9_+/-]{{8}})(?:{_hung('_', _AFTER_UNDERSCORE)})"
    # Telnyx: KEY, 32 hexadecimal digits, an underscore and 22 more; older ones KEY and 55 characters.
    r"|K(?:(?<![A-Za-z0-9]K)EY"
    r"(?P<telnyx_key>(?![_-])(?=[A-Za-z_-]{0,24}[0-9])[0-9A-Za-z_-]{20,}|[0-9A-Za-z_-]{50,})"
    rf"|(?<={_FREE}SK)(?P<twilio_key>[0-9a-f]{{32,}}))"
    # Amazon: the key's id, with the secret where it follows at once.
    r"|A(?<![A-Za-z0-9]A)(?:(?P<aws_key>(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}"
    r"(?:[\s,:;=|\"'/]{1,4}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+]))?)"
    r"|(?P<google_key>Iza[A-Za-z0-9_-]{30,}))"
    rf"|2(?<={_FREE}ya2)(?P<google_token>9\.[A-Za-z0-9_-]{{16,}})"
    rf"|G(?<={_FREE}SG)(?P<sendgrid_key>\.[A-Za-z0-9_-]{{16,}}\.[A-Za-z0-9_-]{{16,}})"
    rf"|J(?<={_FREE}eyJ)(?P<jwt>[A-Za-z0-9_-]{{16,}}[A-Za-z0-9_.=-]*)"
    r"|B(?<![A-Za-z0-9]B)(?:(?P<bearer_capital>(?i:earer))|(?P<basic_capital>(?i:asic)))[ \t]"
    r"|b(?<![A-Za-z0-9]b)(?:(?P<bearer>earer)|(?P<basic>asic))[ \t]"
)


@functools.cache
def candidate() -> re.Pattern[str]:
    """Give the pattern of every place where a secret might stand; where it finds none, `find` finds nothing.

    It is compiled at its first use: that takes as long as all other imports of the recording side together.
    """
    return re.compile(_CANDIDATE)


# English words that follow `bearer` in prose; anything else after it is a token.
_BEARER = re.compile(
    r"[ \t]{0,8}[\"']?(?!(?i:and|auth|authentication|authorization|certificates?|credentials?|error|format|headers?|is"
    r"|method|not|of|or|prefix|realm|scheme|tokens?|type|was)(?![A-Za-z0-9._~+/=-]))([A-Za-z0-9._~+/=-]{6,})"
)
_BASIC = re.compile(r"[ \t]{0,8}([A-Za-z0-9+/_-]{6,}={0,2})")
_LIKELY_BASE64 = 16


def find(text: str, is_secret: Callable[[str, bool], bool]) -> list[Span]:
    """Find every stretch of a text that must not be shown, in order of where each ends; they may overlap.

    Args:
        text: what is searched.
        is_secret: answers whether a name (and whether it is a URL's parameter) means a secret.
    """
    spans: list[Span] = []
    done = 0
    for match in candidate().finditer(text):
        if match.end() <= done:
            continue
        rule = match.lastgroup
        span: Span | None
        if rule is None:
            span = assigned(text, match.start(), match.end(), is_secret)
        elif rule == "option":
            span = optioned(text, match.end(), match["option"], is_secret)
        elif rule == "command":
            span = commanded(text, match)
        else:
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
    return start - _BEFORE.get(rule, 0), end, rule.replace("_", " ")


def _line_end(text: str, close: int) -> int:
    """Find the end of the line `-----END ...-----`."""
    dashes = text.find("-----", close + 8, close + 80)
    return len(text) if dashes < 0 else dashes + 5


def _is_basic(token: str) -> bool:
    """Tell a user and password in base64 from the word after `basic`."""
    token = token.rstrip("=").replace("-", "+").replace("_", "/")[:1024]
    try:
        user = binascii.a2b_base64(token[: len(token) // 4 * 4])
    except binascii.Error:
        return False
    return b":" in user or (len(token) >= _LIKELY_BASE64 and any(one.isdigit() for one in token))
