"""Which names say that the value beside them is a secret. Pure: a name in, a verdict out."""

from __future__ import annotations

import functools
import re

__all__ = ["is_secret", "is_secret_parameter", "normalize"]

# A name longer than this is text, not a name; its end is where the telling word stands.
_LONGEST = 128

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_WORD = re.compile(r"[^a-z0-9]+")

# Words that mean a secret wherever a name ends with them, even glued to another (`dbpassword`, `PGPASSWORD`).
_ENDINGS = (
    r"passwords?|passwd|passphrases?|passcodes?|secrets?|tokens?_secret|token|credentials?|authorization"
    r"|cookies?|csrf|xsrf|jwt"
    r"|(?:access|account|api|app|auth|decryption|encryption|hmac|host|license|master|private|secret|service"
    r"|signing|ssh|subscription|shared_?access|storage)_?keys?"
    r"|(?:access|api|auth|bearer|bot|csrf|id|personal_access|refresh|session|xsrf)_?tokens"
    r"|sess(?:ion)?_?ids?|session_?(?:keys?|cookies?)|shared_?access_?signature"
    r"|token_?(?:value|string|hash|raw)|cookie_?(?:header|value|string|jar)"
)

# Words too short or too common to count when glued to others: they stand alone at the end (`http_auth`, not `oauth`).
_WHOLE_ENDINGS = (
    r"auth(?:_headers?)?|bearer|cv[vc]|otp|pin_code|pwd|verification_code|o_?auth_?code"
    r"|(?:account|admin|auth|db|database|email|ftp|http|imap|ldap|login|my|mysql|pg|postgres|proxy|redis|root"
    r"|sftp|smtp|sudo|user|wifi)_?pass"
)

# Words that mean a secret anywhere in a name, unless the name goes on to say something harmless about it.
_ANYWHERE = (
    r"passwords?|passwd|passphrase|secrets?|api_?keys?|private_?keys?|(?:access|secret)_?keys?|credentials?"
    r"|(?:access|api|auth|bearer|id|refresh|session)_?token|authorization|client_?secret|session_?id"
)
_HARMLESS = (
    r"age|arn|at|change|changed|count|counts|created|description|dir|enabled|endpoint|error|errors|exists"
    r"|expir(?:ed|es|ation|y)|expires_in|field|fields|file|filename|form|format|hint|id|ids|in|index|invalid"
    r"|is_set|label|len|length|level|limit|link|manager|max|method|min|missing|mode|name|names|on|page|path"
    r"|pattern|policy|present|prompt|provider|ref|regex|required|reset|rotation|schema|scheme|scope|scopes"
    r"|server|set|size|status|store|strength|title|ttl|type|types|updated|uri|url|usage|used|valid|var|version"
)

# A language model's tokens are not credentials, nor is what asks for the next page of a list.
_MODELS_UNIT = (
    r"(?:audio|begin|bos|budget|cached|cls|completion|cost|each|end|eos|every|first|image|input|last|mask|max"
    r"|min|num|output|pad|per|prompt|reasoning|sep|special|start|stop|text|total|unk)_token"
)
_PAGES = r"(?:continuation|next|page)_token"

# The session of a phone call or a chat is what it is about, not what it is entered with.
_CONVERSATION = r"(?:call|chat|conversation)_session_?ids?"

_SECRET = (
    rf"(?:{_ENDINGS}|(?:^|_)(?:{_WHOLE_ENDINGS})|^pass)_?[0-9]{{0,4}}$"
    rf"|(?:^|_)(?:{_ANYWHERE})_(?!(?:[a-z0-9]{{1,32}}_){{0,4}}(?:{_HARMLESS})$)"
)
_EXCEPTION = rf"(?:^|_)(?:{_MODELS_UNIT}|{_PAGES})$|{_CONVERSATION}$"

# A name without any of these cannot match: most names are done after this look.
_TELLING = re.compile(r"pass|secret|token|key|auth|cred|cook|sess|jwt|csrf|xsrf|pwd|bearer|otp|cv[vc]|code|signature")

# What a URL calls a credential although elsewhere the same word is harmless.
_PARAMETERS = frozenset({"key", "sig", "signature", "code", "hmac", "x_amz_signature", "x_amz_credential"})


def normalize(name: str) -> str:
    """Write any spelling of a name one way: `X-Api-Key`, `xApiKey` and `x.api.key` become `x_api_key`.

    Only the last 128 characters count.
    """
    words = _CAMEL.sub("_", name[-_LONGEST:]).lower()
    return _NOT_WORD.sub("_", words).strip("_")


def is_secret(name: str, extra: frozenset[str] = frozenset()) -> bool:
    """Tell whether a key, parameter or attribute of this name holds a secret.

    `password`, `OPENAI_API_KEY`, `x-auth-token`, `clientSecret` and `password_confirmation` do; `max_tokens`,
    `token_count`, `author` and `password_length` do not.

    Args:
        name: the name in any spelling.
        extra: more secret names, already normalized; each matches as the whole name or as its last words.
    """
    if extra:
        plain = normalize(name)
        if plain in extra or any(plain.endswith(f"_{one}") for one in extra):
            return True
    if _TELLING.search(name[-_LONGEST:].lower()) is None:
        return False
    plain = normalize(name)
    secret, exception = _patterns()
    return secret.search(plain) is not None and exception.search(plain) is None


@functools.cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compile what says that a name is secret, and that it is not after all, at the first use: it takes a while."""
    return re.compile(_SECRET), re.compile(_EXCEPTION)


def is_secret_parameter(name: str, extra: frozenset[str] = frozenset()) -> bool:
    """Tell whether a URL's query parameter of this name holds a secret: `key`, `sig` and `code` do there."""
    return normalize(name) in _PARAMETERS or is_secret(name, extra)
