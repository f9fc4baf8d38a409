"""Token shapes in texts: what is found, what is not, and that the time stays linear."""

import base64
import time

import pytest

from mission_tracer._redact.names import is_secret, is_secret_parameter
from mission_tracer._redact.shapes import MARGIN, find

TELNYX = "KEY" + "01AB9C4D" * 4 + "_" + "aB3dE6gH9j" * 2 + "Zz"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "QUJDREVGR0g\n" * 5 + "-----END RSA PRIVATE KEY-----"

TOKENS = {
    "telnyx key": TELNYX,
    "older telnyx key": "KEY" + "aB3dE6gH9jK" * 5,
    "openai": "sk-proj-" + "aB3dE6gH9j" * 4,
    "openai classic": "sk-" + "aB3dE6gH9j" * 4,
    "anthropic": "sk-ant-api03-" + "aB3-dE6_gH9j" * 6,
    "github": "ghp_" + "aB3dE6gH9j" * 3 + "aB3dE6",
    "github server": "ghs_" + "aB3dE6gH9j" * 3 + "aB3dE6",
    "github fine": "github_pat_" + "aB3dE6gH9j" * 2 + "_" + "aB3dE6gH9j" * 5,
    "gitlab": "glpat-" + "aB3dE6gH9j" * 2,
    "slack": "xoxb-123456789012-1234567890123-aB3dE6gH9jaB3dE6gH9jaB3d",
    "slack app": "xapp-1-A01234567-1234567890-" + "ab12" * 8,
    "aws": "AKIAABCDEFGHIJKLMNOP",
    "aws with its secret": "AKIAABCDEFGHIJKLMNOP:" + "aB3/dE6+gH" * 4,
    "google": "AIza" + "aB3dE6gH9_j" * 3 + "xy",
    "google access": "ya29.a0" + "aB3dE6gH9j" * 4,
    "stripe": "sk_live_" + "aB3dE6gH9j" * 2,
    "stripe restricted": "rk_live_" + "aB3dE6gH9j" * 2,
    "webhook": "whsec_" + "aB3dE6gH9j" * 3,
    "jwt": JWT,
    "hugging face": "hf_" + "aBcdEfghIj" * 3,
    "npm": "npm_" + "aB3dE6gH9j" * 3 + "aB3dE6",
    "sendgrid": "SG." + "aB3dE6gH9j" * 2 + "aa." + "aB3dE6gH9j" * 4,
    "twilio": "SK" + "0123456789abcdef" * 2,
    "groq": "gsk_" + "aB3dE6gH9j" * 5,
    "langsmith": "lsv2_pt_" + "ab12cd34" * 4 + "_" + "ab12cd34ef",
    "pem": PEM,
}


def asks(name: str, parameter: bool) -> bool:
    return is_secret_parameter(name) if parameter else is_secret(name)


def shown(text: str) -> str:
    """The text without what was found."""
    kept, at = [], 0
    for start, end, _ in sorted(find(text, asks)):
        if end > at:
            kept += [text[at : max(at, start)], "#"]
            at = end
    return "".join([*kept, text[at:]])


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
@pytest.mark.parametrize(
    "around", ["{}", "use {} now", "({})", '"{}"', "a={};", "x/{}/y", "[{}]", "é{}é", "_{}", "{}\n", "{}, {}", "a-{}"]
)
def test_a_token_is_found_wherever_it_stands(token: str, around: str) -> None:
    """A token of a known shape is found whole, whatever surrounds it."""
    text = around.format(token, token)
    assert token[4:] not in shown(text)
    assert token[:12] not in shown(text)


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_a_token_is_known_by_its_begin(token: str) -> None:
    """A token whose end is out of sight is still known, if enough of it is in sight to be a secret."""
    long = token + "a1" * MARGIN if token is not PEM else PEM
    assert "#" in shown(f"say {long}"[:MARGIN])


@pytest.mark.parametrize(
    "text",
    [
        "use task-management-software-for-teams-20 here",
        "a disk-based-approach-with-1234567890 of risk-1234567890123",
        "KEYBOARD and KEY_NAME_OF_SOMETHING_QUITE_LONG_INDEED",
        "550e8400-e29b-41d4-a716-446655440000",
        "+13125550001 at 10:30, see https://example.com:8080/a/b?q=window+washers#top",
        "best: ABC Cleaning, quote: 350; ratio=0.5 -> good",
        "Bearer authentication failed, the bearer token is missing",
        "basic information about basic understanding",
        "C:\\Users\\bob: d41d8cd98f00b204e9800998ecf8427e",
        "medium.com/@somebody/post and https://medium.com/@somebody/post",
        "max_tokens=100, token_count: 5, tokens: 17, author: Ann",
        "def login(user: str, password: str) -> None:",
        "password: None, token=null, secret: '', api_key=$API_KEY, token={token}",
        "ssh://git@github.com/a/b.git",
        "the -- dash, a-b_c --verbose yes",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    """Text without a secret comes back unchanged."""
    assert shown(text) == text


def test_bearer_and_basic_are_known_without_their_header() -> None:
    """A token after Bearer, and a user with password after Basic, are found."""
    basic = base64.b64encode(b"bob:hunter2").decode()
    assert shown("sent Bearer abc123.x-y") == "sent Bearer #"
    assert shown("bearer  opaquevalue") == "bearer  #"
    assert shown(f"sent Basic {basic} to it") == "sent Basic # to it"


def test_a_private_key_without_its_end_hides_the_rest() -> None:
    """A private key that is cut off hides everything after its first line."""
    assert shown("key:\n" + PEM[:60]) == "key:\n#"
    assert shown(f"{PEM} after") == "# after"
    assert shown("-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----").startswith("-----BEGIN CERT")


def test_the_rule_is_told_with_each_span() -> None:
    """Every span of a shape names its rule; a value beside a secret name names none."""
    assert [rule for *_, rule in find(f"{TELNYX} {JWT} password=hunter2", asks)] == ["telnyx key", "jwt", ""]


MEGABYTE = 1_000_000
SHORTER = 100_000
ADVERSARIES = [
    "a",
    "sk-",
    "a=",
    "password=x ",
    "password=(",
    "password=(\n",
    "password='",
    'password="\\"',
    "://",
    "://a:b@",
    "://a://b:c",
    "KEY",
    "KEYaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "-----BEGIN PRIVATE KEY-----",
    "-----END ",
    "-",
    "_",
    "--",
    "--password ",
    "bearer ",
    "Basic aaaaaa ",
    ":",
    "SG.aaaaaaaaaaaaaaaa",
    "SG.aaaaaaaaaaaaaaaaaaaaaaa ",
    "<password>",
    "xoxb-",
    "cookie: ",
    "authorization: '",
    "token=;a",
    "token=&a",
    'token="a',
    " ",
    "password ",
    "eyJ",
    "eyJaaaaaaaaaaaaaaaa.",
    "%3D",
    "token%3D",
    "AKIAABCDEFGHIJKLMNOP ",
    "github_pat_",
    "sk_live_",
    "password=\\",
    '\\"',
    "'",
    "api key: ",
    ".",
    "]",
    "0",
    "\n",
    "é=",
]


@pytest.mark.parametrize("unit", ADVERSARIES)
def test_a_hostile_text_takes_linear_time(unit: str) -> None:
    """A hundred thousand hostile characters are searched at once; anything quadratic would take many minutes."""
    text = (unit * (SHORTER // len(unit) + 1))[:SHORTER]
    started = time.perf_counter()
    for before in ("", "password=", "password='", "https://", "-----BEGIN PRIVATE KEY-----", "eyJ"):
        find(before + text, asks)
    assert time.perf_counter() - started < 10


def test_a_hostile_megabyte_takes_seconds() -> None:
    """A megabyte of the text that takes longest by the character is searched within seconds."""
    started = time.perf_counter()
    find("a1=b1:" * (MEGABYTE // 6), asks)
    assert time.perf_counter() - started < 10
