"""Values beside secret names in free text: where they begin and end."""

import pytest

from mission_tracer._redact.names import is_secret, is_secret_parameter
from mission_tracer._redact.shapes import find


def shown(text: str) -> str:
    """The text with `#` in place of what was found."""
    spans = find(text, lambda name, parameter: is_secret_parameter(name) if parameter else is_secret(name))
    kept, at = [], 0
    for start, end, _ in sorted(spans):
        if end > at:
            kept += [text[at : max(at, start)], "#"]
            at = end
    return "".join([*kept, text[at:]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password=hunter2, user=bob", "password=#, user=bob"),
        ("password: hunter2", "password: #"),
        ("api_key := abc", "api_key := #"),
        ("PASSWORD=hun'ter\"2x y", "PASSWORD=# y"),
        ("login(user='bob', password='x y')", "login(user='bob', password='#')"),
        ("password=b'hunter2'", "password=b'#'"),
        ('password = """hun\nter2""" x', 'password = """#""" x'),
        ("{'api_key': 'abc\\'def', 'b': 1}", "{'api_key': '#', 'b': 1}"),
        ('{"password": "hun ter2", "q": 1}', '{"password": "#", "q": 1}'),
        ('{"password":"hunter2","q":1}', '{"password":"#","q":1}'),
        ('"{\\"password\\": \\"hunter2\\", \\"q\\": 1}"', '"{\\"password\\": \\"#\\", \\"q\\": 1}"'),
        ("config['password'] = 'hunter2'", "config['password'] = '#'"),
        ("cookies={'sid': 'abc', 'x': ['y']} next", "cookies=# next"),
        ("token=Token('a b c') next", "token=# next"),
        ("Server=x;Password=a;b&c;Database=y", "Server=x;Password=#;Database=y"),
        ("<password>hunter2</password>", "<password>#</password>"),
        ("<user>bob</user> a -> b", "<user>bob</user> a -> b"),
        ("--password hunter2 --user x", "--password # --user x"),
        ("--api-key=XYZ z", "--api-key=# z"),
        ("run('--api-key \\'x y\\' -v')", "run('--api-key \\'#\\' -v')"),
        ("API key: abc123, fine", "API key: #, fine"),
        ("session id: 77aa", "session id: #"),
        ("line\npassword: hunter2\nline", "line\npassword: #\nline"),
        ("password='never closed", "password='#"),
        ("token: [a, b] c", "token: # c"),
        ("password=(hunter2 and more", "password=#"),
        ("password=[hunter2 and more", "password=#"),
        ("password={hunter2 and more", "password=#"),
        ("token=Token('a b c' and more", "token=#"),
        ("a\\nauth: abc\\nb", "a\\nauth: #\\nb"),
        ("[('x-api-key', 'hunter2'), ('a', 'b')]", "[('x-api-key', '#'), ('a', 'b')]"),
        ("'[(\\'x-api-key\\', \\'hunter2\\')]'", "'[(\\'x-api-key\\', \\'#\\')]'"),
        (
            '"{\\"name\\": \\"TOKEN\\", \\"value\\": \\"hunter2\\"}"',
            '"{\\"name\\": \\"TOKEN\\", \\"value\\": \\"#\\"}"',
        ),
        ("done\\n--api-key 'x y'", "done\\n--api-key '#'"),
        ("a--token x", "a--token x"),
        ("[[b'cookie', b'a=b'], 1]", "[[b'cookie', b'#'], 1]"),
        ("run(['mysql', '--password', 'hunter2', '-v'])", "run(['mysql', '--password', '#', '-v'])"),
        ("fields = ['password', 'name', 'token']", "fields = ['password', 'name', 'token']"),
        ("{'name': 'TOKEN', 'value': 'hunter2'}", "{'name': 'TOKEN', 'value': '#'}"),
        ('{"key":"api_key","value":"hunter2"}', '{"key":"api_key","value":"#"}'),
        ('<input name="password" value="hunter2">', '<input name="password" value="#">'),
        ("{'name': 'city', 'value': 'Chicago'}", "{'name': 'city', 'value': 'Chicago'}"),
        ("C:\\token: abc", "C:\\token: #"),
    ],
)
def test_a_value_is_found_between_its_own_ends(text: str, expected: str) -> None:
    """A value beside a secret name is found whole, and what follows it is kept."""
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abc.def-123", "Authorization: #"),
        ("authorization=Bearer abc", "authorization=#"),
        ("x-auth-token: Token abc def", "x-auth-token: # def"),
        ("curl -H 'Authorization: Basic YWJj' https://x", "curl -H 'Authorization: #' https://x"),
        ("Cookie: a=b; c=d\nHost: y", "Cookie: #\nHost: y"),
        ("'Set-Cookie': 'a=b; c=d', 'x': 1", "'Set-Cookie': '#', 'x': 1"),
        ("raw\\r\\nCookie: a=b; c=d\\r\\nHost: y", "raw\\r\\nCookie: #\\r\\nHost: y"),
    ],
)
def test_a_header_is_found_to_its_end(text: str, expected: str) -> None:
    """A header whose value may hold blanks is hidden to the end of its line or quote."""
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://user:pa55@host:5432/db", "postgres://#@host:5432/db"),
        ("postgres://user:p@ss@host/db", "postgres://#@host/db"),
        ("redis://:pa/ss@host:1", "redis://#@host:1"),
        ("https://0123456789abcdef0123@host/x", "https://#@host/x"),
        ("https://x.com/?api_key=abc&q=1", "https://x.com/?api_key=#&q=1"),
        ("https://x.com/?q=1&key=AB12&sig=cd#top", "https://x.com/?q=1&key=#&sig=#"),
        ("'https://x.com/?token=abc', 'next'", "'https://x.com/?token=#', 'next'"),
        ("u=https%3A%2F%2Fx%3Ftoken%3Dabc%26q%3D1", "u=https%3A%2F%2Fx%3Ftoken%3D#%26q%3D1"),
        ("x#access_token=abc&state=1", "x#access_token=#&state=1"),
    ],
)
def test_a_url_keeps_its_host_and_harmless_parts(text: str, expected: str) -> None:
    """Credentials in a URL are hidden, and host, path and other parameters kept."""
    assert shown(text) == expected
