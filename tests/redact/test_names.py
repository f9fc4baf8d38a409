"""Names that say a secret stands beside them, and names that only look so."""

import pytest

from mission_tracer._redact.names import is_secret, is_secret_parameter, normalize

SECRET = [
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "APIKey",
    "apiKey",
    "X-Api-Key",
    "access_token",
    "accessToken",
    "authorization",
    "Authorization",
    "Proxy-Authorization",
    "cookie",
    "Set-Cookie",
    "cookies",
    "private_key",
    "privateKey",
    "client_secret",
    "session_id",
    "sessionid",
    "SESSIONID",
    "PHPSESSID",
    "JSESSIONID",
    "OPENAI_API_KEY",
    "TELNYX_API_KEY",
    "PGPASSWORD",
    "dbPassword",
    "db_pass",
    "password2",
    "api_key_1",
    "api_keys",
    "passwords",
    "secrets",
    "credentials",
    "refresh_token",
    "id_token",
    "csrftoken",
    "X-CSRF-Token",
    "aws_secret_access_key",
    "SecretAccessKey",
    "AccountKey",
    "SharedAccessKey",
    "signing_key",
    "encryption_key",
    "webhook_secret",
    "passphrase",
    "auth",
    "http_auth",
    "pwd",
    "pass",
    "password_hash",
    "password_confirmation",
    "secret_value",
    "authorization_code",
    "token_value",
    "GITHUB_TOKEN",
    "bearer",
    "bearer_token",
    "auth_token",
    "x-auth-token",
    "otp",
    "cvv",
    "jwt",
    "user_password",
    "password_reset_token",
    "connect.session_id",
    "authHeader",
    "AUTHTOKEN",
    "secretKey",
    "SecretKey",
    "basic_auth",
    "api_secret",
    "api_token",
]

HARMLESS = [
    "max_tokens",
    "token_count",
    "call_session_id",
    "chatSessionId",
    "input_tokens",
    "tokens",
    "author",
    "authors",
    "authored_by",
    "oauth_provider",
    "total_tokens",
    "completion_tokens",
    "tokenizer",
    "key",
    "keys",
    "monkey",
    "public_key",
    "primary_key",
    "sort_key",
    "keyboard",
    "password_length",
    "has_password_expired",
    "password_policy_id",
    "api_key_id",
    "secret_name",
    "token_type",
    "eos_token",
    "nextToken",
    "NextPageToken",
    "page_token",
    "ContinuationToken",
    "time_to_first_token",
    "cost_per_token",
    "session",
    "passenger",
    "passed",
    "compass",
    "bypass",
    "first_pass",
    "pin",
    "cookie_consent",
    "secretary",
    "expires_at",
    "session_name",
    "city",
    "query",
    "id",
    "name",
    "author_id",
    "authenticate",
    "authentication_failed",
    "cache_key",
    "prompt_tokens",
]


@pytest.mark.parametrize("name", SECRET)
def test_a_secret_name_is_known(name: str) -> None:
    """Every usual spelling of a secret's name is known as one."""
    assert is_secret(name)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_name_is_let_pass(name: str) -> None:
    """A name that merely holds the letters of a secret's name is none."""
    assert not is_secret(name)


@pytest.mark.parametrize("name", ["key", "sig", "signature", "code", "X-Amz-Signature", "api_key"])
def test_a_url_calls_secrets_by_common_words(name: str) -> None:
    """A query parameter is secret under words that are harmless elsewhere."""
    assert is_secret_parameter(name)


def test_a_parameter_with_an_ordinary_name_is_none() -> None:
    """A query parameter with an ordinary name is no secret."""
    assert not is_secret_parameter("city")


@pytest.mark.parametrize("name", ["customer_id", "CustomerId", "customer-id", "main.customer_id", "customerID"])
def test_an_added_name_matches_in_any_spelling(name: str) -> None:
    """A name added by the user matches as a whole or as the last words, in any spelling."""
    assert is_secret(name, frozenset({normalize("customerId")}))


def test_an_added_name_does_not_match_inside_a_word() -> None:
    """A name added by the user does not match a part of another word."""
    assert not is_secret("discustomer", frozenset({"customer"}))


@pytest.mark.parametrize("name", ["X-Api-Key", "xApiKey", "x.api.key", "X_API_KEY", "__x api key__"])
def test_spellings_become_one(name: str) -> None:
    """Every spelling of a name is normalized to the same words."""
    assert normalize(name) == "x_api_key"


@pytest.mark.parametrize("name", ["a" * 1_000_000, "_" * 1_000_000, "aB" * 500_000, "password_" * 100_000])
def test_an_enormous_name_is_judged_by_its_end(name: str) -> None:
    """A name of a million characters is judged by its last ones, without reading the others."""
    assert len(normalize(name)) < 260
    assert is_secret(name + "_password")
