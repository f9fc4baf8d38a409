"""Passwords of commands: of options of one letter, in shells' lines, in lists, and in messages that quote them."""

import json
import shlex
import time
from collections.abc import Callable

import pytest

from mission_tracer._redact import Redaction
from mission_tracer._redact.commands import without_passwords

SECRETIVE = [
    "curl -u me:hunter2 https://example.com",
    "curl -ume:hunter2 https://example.com",
    "curl --user me:hunter2 https://example.com",
    "curl --user=me:hunter2 https://example.com",
    "curl -U 'me:hunter2 and hunter2' --proxy-user 'you:hunter2' https://example.com",
    "docker login -u me -p hunter2",
    "docker login -u me -p hunter2 registry.example && docker run -p 80:80 x",
    "helm registry login -u me -p hunter2 registry.example",
    "sudo -E sshpass -v -p hunter2 ssh -p 2222 host",
    "sshpass -phunter2 ssh -p 2222 host",
    "mysql -uroot -phunter2 shop",
    "/usr/bin/mysqldump -h host '-phunter2 and hunter2' shop",
    "redis-cli -h host -a hunter2 ping",
    "mongosh -u me -p hunter2",
    "ldapsearch -x -D cn=me -w hunter2",
]

ORDINARY = [
    "ssh -p 8080 host",
    "docker run -p 8080:80 x",
    "docker ps -a",
    "docker run -u root x",
    "docker run -u 1000:1000 --user 1000:1000 x",
    "docker login registry.example && docker run -p 8080:80 x",
    "sshpass -e ssh -p 2222 host",
    "mysql -u root -p shop",
    "mysql -p",
    "mysql -P 3306 shop",
    "mkdir -p a/b; ls -a b",
    "redis-cli ping; ls -a b",
    "sqlmap -u http://example.com/a:b",
    "git push -u origin main",
    "python -u x.py",
    "curl -u me:$PASSWORD example.com",
    "a minus -b, x - y: -u, --user <user:password>",
]

FORMS: dict[str, Callable[[str], str]] = {
    "a shell's line": lambda line: line,
    "a list's repr": lambda line: str(shlex.split(line)),
    "a list's JSON": lambda line: json.dumps(shlex.split(line)),
    "JSON in JSON": lambda line: json.dumps(json.dumps(shlex.split(line))),
    "a message of the module": lambda line: f"Command '{shlex.split(line)}' returned non-zero exit status 1.",
    "a message of a shell": lambda line: f"Command '{line}' timed out after 3 seconds",
    "a shell in a list": lambda line: str(["bash", "-c", line]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("line", SECRETIVE)
def test_a_password_of_an_option_is_hidden(line: str, form: str) -> None:
    """However a command is written down, the password of its option is not shown; what else it says is."""
    shown = Redaction.default().text(FORMS[form](line))
    assert "hunter2" not in shown
    assert shlex.split(line)[0] in shown


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("line", ORDINARY)
def test_an_option_without_a_password_stays(line: str, form: str) -> None:
    """Ports, names of users, ids and paths stay as they are, and so does what only looks like an option."""
    text = FORMS[form](line)
    assert Redaction.default().text(text) == text


def test_the_arguments_of_a_command() -> None:
    """A list of arguments comes back as long as it was, with the passwords alone replaced."""
    assert without_passwords(["curl", "-u", "me:hunter 2", "", "x\ny"]) == ["curl", "-u", "me:[redacted]", "", "x\ny"]
    assert without_passwords(["mysql", "-phunter 2"]) == ["mysql", "-p[redacted]"]
    assert without_passwords(["docker", "login", "-p", "hunter2"]) == ["docker", "login", "-p", "[redacted]"]
    assert without_passwords(["sh", "-c", "curl -u me:x"]) == ["sh", "-c", "curl -u me:x"]  # redacted as a text
    for line in ORDINARY:
        assert without_passwords(line.split()) == line.split()


@pytest.mark.parametrize(
    "unit", [" -u a", " -u '", " -u a:(", " -pa", " -p '", "redis-cli -a ", "mysql -p ", '"-p", ', " -u\0"]
)
def test_a_hostile_text_takes_linear_time(unit: str) -> None:
    """Thirty thousand hostile characters are searched at once; anything quadratic would take minutes."""
    text = unit * (30_000 // len(unit))
    started = time.perf_counter()
    for before in ("", "docker login ", "mysql ", "redis-cli "):
        Redaction.default().text(before + text)
    without_passwords([text.replace("\0", " ")] * 10)
    assert time.perf_counter() - started < 10
