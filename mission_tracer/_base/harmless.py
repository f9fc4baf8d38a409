"""Know most short texts that hold no secret, without importing what finds secrets.

For processes that live for a moment; finding secrets takes longer to import than they take to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_MOST = 200
# Each shape that is looked for (`_redact.shapes`) has one of these in it.
_HINT = re.compile(
    r"[:=>%\\]|[\"'],|--|[-_][A-Za-z0-9_+/-]{8}|KEY|SK[0-9a-f]|A(?:KIA|SIA|BIA|CCA|Iza)|ya29|SG\.|eyJ|[Bb](?i:earer|asic)"
)


def is_harmless(text: str, secrets: Iterable[str] = ()) -> bool:
    """Say that a text is one clean line in which the built-in rules hide nothing; False when that is not certain.

    Args:
        text: Any text.
        secrets: Texts that are hidden wherever they stand.
    """
    return (
        len(text) <= _MOST
        and text.isascii()
        and text.isprintable()
        and text == " ".join(text.split())
        and _HINT.search(text) is None
        and not any(secret.strip() in text for secret in secrets)
    )
