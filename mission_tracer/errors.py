"""What can go wrong, as one tree, and one readable line for whatever a server answered.

MissionTracerError
├── ConfigurationError                 a setting is missing or wrong (also a ValueError)
└── APIError                           one request to the Missions API failed; keeps `.request`
    ├── APIConnectionError             no answer; `.sent` says whether the server may have acted
    │   └── APITimeoutError
    ├── APIResponseError               a success whose body cannot be used
    └── APIStatusError                 the server refused; `.status`, `.body`, `.retry_after`
        ├── BadRequestError            400
        ├── AuthenticationError        401
        ├── PermissionDeniedError      403
        ├── NotFoundError              404
        ├── ConflictError              409
        ├── PayloadTooLargeError       413
        ├── UnprocessableEntityError   422
        ├── RateLimitError             429
        └── InternalServerError        500 and above
"""

from __future__ import annotations

import copyreg
import re
from typing import Any, NamedTuple

import msgspec

LINE_LIMIT = 400
"""The longest line `explain` gives, in characters."""

_SEEN_BYTES = 65_536
_SHOWN_FAULTS = 3
_LEAST_KEY = 5  # characters; shorter texts stand in anything
_TITLE = re.compile(r"<title[^<>]*>([^<]*)", re.IGNORECASE)  # no part can run past the next tag: linear on any page


class RequestLine(NamedTuple):
    """Which request failed: its method and URL, never its headers or body."""

    method: str
    url: str

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


class MissionTracerError(Exception):
    """Catch everything this package raises on its own account."""


class ConfigurationError(MissionTracerError, ValueError):
    """A setting is missing or wrong; the message names it and the mend."""


class APIError(MissionTracerError):
    """One request to the Missions API failed.

    Args:
        message: what happened, in one line.
        request: the method and URL, as strings.
    """

    request: RequestLine

    def __init__(self, message: str, *, request: RequestLine) -> None:
        super().__init__(message)
        self.request = request

    def __str__(self) -> str:
        return f"{self.request}: {self.args[0]}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own calls the class with the message alone; the keyword-only arguments are required.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class APIConnectionError(APIError):
    """The request got no answer.

    Args:
        message: what happened, in one line.
        request: the method and URL, as strings.
        sent: False when the server certainly never saw the request; True when it may have acted on it.
    """

    sent: bool

    def __init__(self, message: str, *, request: RequestLine, sent: bool = True) -> None:
        super().__init__(message, request=request)
        self.sent = sent


class APITimeoutError(APIConnectionError):
    """The answer did not come in time."""


class APIResponseError(APIError):
    """The server reported success and its body cannot be used: no JSON, cut off, HTML, or without its data.

    Args:
        message: what is wrong with the body, in one line.
        request: the method and URL, as strings.
        status: the HTTP status, a 2xx.
        body: the beginning of the body, as text.
    """

    status: int
    body: str

    def __init__(self, message: str, *, request: RequestLine, status: int, body: str = "") -> None:
        super().__init__(message, request=request)
        self.status = status
        self.body = body


class APIStatusError(APIError):
    """The server refused the request.

    Args:
        message: what the server said, in one line.
        request: the method and URL, as strings.
        status: the HTTP status.
        body: the decoded JSON; the text when it was no JSON; None when there was none.
        request_id: the server's own id of the request, for a support case; None when it sent none.
        retry_after: seconds the server asked to wait; None when it did not ask.
    """

    status: int
    body: Any
    request_id: str | None
    retry_after: float | None

    def __init__(
        self,
        message: str,
        *,
        request: RequestLine,
        status: int,
        body: Any = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, request=request)
        self.status = status
        self.body = body
        self.request_id = request_id
        self.retry_after = retry_after


class BadRequestError(APIStatusError):
    """400: the request cannot be understood."""


class AuthenticationError(APIStatusError):
    """401: the API key is missing or wrong."""


class PermissionDeniedError(APIStatusError):
    """403: the API key may not do this."""


class NotFoundError(APIStatusError):
    """404: no such thing."""


class ConflictError(APIStatusError):
    """409: the present state does not allow this."""


class PayloadTooLargeError(APIStatusError):
    """413: the body is too large."""


class UnprocessableEntityError(APIStatusError):
    """422: the body does not have the right fields."""


class RateLimitError(APIStatusError):
    """429: too many requests."""


class InternalServerError(APIStatusError):
    """500 and above: the server failed."""


_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    413: PayloadTooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}
_SERVER_ERRORS = 500  # and above


def error_for(status: int) -> type[APIStatusError]:
    """Give the class of the error that stands for an HTTP status."""
    return InternalServerError if status >= _SERVER_ERRORS else _BY_STATUS.get(status, APIStatusError)


def explain(status: int, content_type: str | None, body: bytes) -> str:
    """Say in one line of bounded length why a server refused.

    Reads a `detail` (a list of faults, or a string), an `errors` list, an HTML page, JSON that was cut off,
    or text. Never raises.

    Args:
        status: the HTTP status.
        content_type: the header's value; None when there was none.
        body: the body as received.
    """
    words = _words((content_type or "").lower(), body)
    return _one_line(f"{status} {_phrase(status)}: {words}" if words else f"{status} {_phrase(status)}")


def without_key(body: bytes, api_key: str) -> bytes:
    """Return what a server said without the API key, which it may give back; very short ones are nobody's."""
    return body.replace(api_key.encode(), b"[redacted]") if len(api_key) >= _LEAST_KEY else body


def excerpt(body: bytes) -> str:
    """Give the beginning of a body as one printable line."""
    return _one_line(body[:_SEEN_BYTES].decode("utf-8", "replace"))


def _phrase(status: int) -> str:
    from http import HTTPStatus  # for a program that meets no error: its enums take long to make

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"


def _words(content_type: str, body: bytes) -> str:
    text = body[:_SEEN_BYTES].decode("utf-8", "replace").strip()
    if not text:
        return ""
    if "html" in content_type or text[0] == "<":
        title = _TITLE.search(text)
        return f'an HTML page, "{title[1].strip()}"' if title else "an HTML page"
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return f"not valid JSON, {text}" if "json" in content_type or text[0] in "{[" else text
    return _said(answer) or text


def _said(answer: object) -> str:
    """Give the server's own words out of a decoded error, or nothing when it has none of the known shapes."""
    if isinstance(answer, str):
        return answer
    if not isinstance(answer, dict):
        return ""
    for key, fault in (("detail", _detail_fault), ("errors", _telnyx_fault)):
        faults = answer.get(key)
        if isinstance(faults, list):
            lines = [line for line in map(fault, faults[: _SHOWN_FAULTS + 1]) if line]
            rest = len(faults) - _SHOWN_FAULTS
            return "; ".join(lines[:_SHOWN_FAULTS] + ([f"and {rest} more"] if rest > 0 else []))
    return next((answer[k] for k in ("detail", "message", "error") if isinstance(answer.get(k), str)), "")


def _detail_fault(fault: object) -> str:
    if not isinstance(fault, dict):
        return str(fault)
    loc = fault.get("loc")
    where = ".".join(map(str, loc)) if isinstance(loc, list) else ""
    return ": ".join(str(part) for part in (where, fault.get("msg")) if part)


def _telnyx_fault(fault: object) -> str:
    if not isinstance(fault, dict):
        return str(fault)
    said = ": ".join(str(part) for part in (fault.get("title"), fault.get("detail")) if part)
    source = fault.get("source")
    pointer = source.get("pointer") if isinstance(source, dict) else None
    code = f"code {fault['code']}" if fault.get("code") else ""
    aside = ", ".join(part for part in (code, f"at {pointer}" if pointer else "") if part)
    return f"{said} ({aside})" if said and aside else said or aside


def _one_line(text: str) -> str:
    """Make any text fit for a log line: printable, single-spaced, at most `LINE_LIMIT` characters."""
    # Cut before cleaning: a body of blanks or control characters must not cost more than its beginning.
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * LINE_LIMIT]).split())
    return line if len(line) <= LINE_LIMIT else line[: LINE_LIMIT - 1] + "…"
