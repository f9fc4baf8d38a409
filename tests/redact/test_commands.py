"""Passwords of commands: of options of one letter, in shells' lines, in lists, and in messages that quote them."""

import json
import shlex
import time
from collections.abc import Callable

import pytest

from mission_tracer._capture import Capture
from mission_tracer._redact import Redaction

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
    "docker run --name mongo -p 27017:27017 mongo:7",
    "docker run --name mongo -p 127.0.0.1:27017:27017 mongo:7",
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
    "rsync -e ssh -u host:path/to/x there",
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


@pytest.mark.parametrize("line", SECRETIVE)
def test_a_password_among_arguments_is_hidden(line: str) -> None:
    """A list of arguments keeps its length: what holds a password is shown without it, the others as they are."""
    given = shlex.split(line)
    shown = Capture().value(given)
    assert "hunter2" not in str(shown)
    assert [one for one in given if "hunter2" not in one] == [one for one in shown if "[redacted]" not in one]
    assert len(shown) == len(given)


@pytest.mark.parametrize("line", ORDINARY)
def test_arguments_without_a_password_stay(line: str) -> None:
    """What is no password in a shell's line is none in a list either."""
    assert Capture().value({"cmd": line.split()}) == {"cmd": line.split()}


def test_the_arguments_of_a_command() -> None:
    """Of an argument with a name and a password the name is shown; what is no text, or not there, is no password."""
    capture = Capture()
    assert capture.value(["curl", "-u", "me:hunter 2", "", "x"]) == ["curl", "-u", "me:[redacted]", "", "x"]
    assert capture.value(["curl", "--user=me:hunter 2"]) == ["curl", "--user=me:[redacted]"]
    assert capture.value(["mysql", "-phunter 2"]) == ["mysql", "-p[redacted]"]
    assert capture.value(["redis-cli", "-a", "-u"]) == ["redis-cli", "-a", "[redacted]"]
    assert capture.value(["mongosh", "-p"]) == ["mongosh", "-p"]
    assert capture.value(["mongosh", 1, "-p", 2]) == ["mongosh", 1, "-p", 2]
    assert Capture(redaction=Redaction.build(False)).value(["curl", "-u", "me:x"]) == ["curl", "-u", "me:x"]


def test_a_callback_is_asked_for_what_stays_of_an_argument() -> None:
    """The password is none of its business, and the name beside it is."""
    asked: list[object] = []
    capture = Capture(redaction=Redaction.default(callback=lambda path, value: asked.append((path, value)) or value))
    assert capture.value({"cmd": ["curl", "-u", "me:hunter2"]}) == {"cmd": ["curl", "-u", "me:[redacted]"]}
    assert asked[2:] == [(("cmd", 0), "curl"), (("cmd", 1), "-u"), (("cmd", 2), "me:")]


@pytest.mark.parametrize("unit", [" -u a", " -u '", " -u a:(", " -pa", " -p '", "redis-cli -a ", "mysql -p ", '"-p", '])
def test_a_hostile_text_takes_linear_time(unit: str) -> None:
    """Thirty thousand hostile characters are searched at once; anything quadratic would take minutes."""
    text = unit * (30_000 // len(unit))
    started = time.perf_counter()
    for before in ("", "docker login ", "mysql ", "redis-cli "):
        Redaction.default().text(before + text)
    Capture().value(["docker", "login", *[unit.strip(), text] * 2])
    assert time.perf_counter() - started < 10
