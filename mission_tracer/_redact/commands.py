"""Where passwords stand in commands: `curl -u me:hunter2`, `mysql -phunter2`, `docker login -p hunter2`. Pure.

A command is a shell's line, the repr or JSON of a list, or a list of arguments.
"""

from __future__ import annotations

import re
from typing import Any

from mission_tracer._redact.values import Span, unless_innocent, value_at

__all__ = ["OPTION", "commanded", "password_of"]

OPTION = r"[uUapw-](?<![^\s\"'`(=]-[uUapw-])(?:(?<=--)(?:proxy-)?user(?![A-Za-z0-9_-])|(?<!--))(?P<command>)"
"""What follows the dash of an option that may have a password; it begins with a set, which is ruled out first."""

_BETWEEN = re.compile(r"(?:\\{0,8}[\"'], ?|[= \t]{1,16})?")
_USER = re.compile(r"\\{0,8}[\"']?[^\s:/\"'<{]{1,128}:(?!//)")
# The ids of a user and a group, or the ports that a container is given.
_NUMBERS = re.compile(r"\\{0,8}[\"']?(?:[0-9.]{7,15}:)?[0-9]{1,10}:[0-9]{1,10}(?![^\s\"'\\])")
_NOTHING = re.compile(r"[\"'](?:[\s,:;)\]}]|\Z)")  # the end of what the option stands in
_QUOTED = re.compile(r"\\{0,8}[\"'`]\Z")

_LOOKED_BACK = 256
_NEXT_COMMAND = re.compile(r"[;|&]|(?<!\\)(?:[\r\n]|\\[rn])")
_WORD = re.compile(r"[\w.-]+")
_LOGIN = re.compile(r"\b(?:docker|podman|nerdctl|buildah|skopeo|helm|oras|crane)(?: registry)? login\b")
# What follows sshpass's own options is another program, whose `-p` is a port.
_SSHPASS = re.compile(r"\bsshpass(?: -\w+)*\Z")

_NAMES = {"p": ("sshpass", "login", "mongo", "mysql", "mariadb"), "a": ("redis-cli",), "w": ("ldap",)}
"""Options of one letter -> the programs that may take a password there, without a user's name."""

_ARGUMENT = re.compile(r"-(?:([uUapw])=?|-(?:proxy-)?user(?:=|\Z))")
_ARGUMENTS_BACK = 16


def commanded(text: str, found: re.Match[str]) -> Span | None:
    """Find the password of an option in a text, if the program has one there.

    Args:
        text: the text.
        found: the match of a pattern that ends with `OPTION`.
    """
    start, after = found.span()
    between = _BETWEEN.match(text, after)
    at = after if between is None else between.end()
    if _NOTHING.match(text, at) is not None:
        return None
    before = text[max(0, start - _LOOKED_BACK) : start]
    begin = _password(text, at, text[start + 1 : after], before, attached=at == after)
    if begin is None:
        return None
    value = _argument(text, start, after, at)
    return unless_innocent(text, max(begin, value[0]), value[1])


def password_of(arguments: list[Any], place: int) -> tuple[int, int] | None:
    """Find the password of an option in a list of arguments: the argument that holds it, and where it begins in that.

    Args:
        arguments: the arguments; what is no text is none.
        place: that of the option, a text.
    """
    option = _ARGUMENT.match(arguments[place])
    if option is None:
        return None
    attached = option.end() < len(arguments[place])
    holder, at = (place, option.end()) if attached else (place + 1, 0)
    value = arguments[holder] if holder < len(arguments) else None
    if type(value) is not str:
        return None
    before = arguments[max(0, place - _ARGUMENTS_BACK) : place]
    told = " ".join(one[:_LOOKED_BACK] for one in before if type(one) is str)
    begin = _password(value, at, option[1] or "user", told, attached=attached)
    return None if begin is None or unless_innocent(value, begin, len(value)) is None else (holder, begin)


def _password(text: str, at: int, option: str, before: str, *, attached: bool) -> int | None:
    """Say where the password begins in an option's argument; `None`: it has none.

    Args:
        text: what holds the argument.
        at: where that begins, perhaps with a quote.
        option: the option without its first dash.
        before: what stands before the option.
        attached: whether the argument follows the option without a blank.
    """
    if _NUMBERS.match(text, at) is not None:
        return None
    if option in _NAMES:
        is_told = any(name in before for name in _NAMES[option])  # mostly it is not, and that is soon said
        return at if is_told and _takes_password(option, _words(before), attached=attached) else None
    user = _USER.match(text, at)
    # To rsync, `-u` says what to copy, and what follows is where.
    return None if user is None or "rsync" in _words(before) else user.end()


def _words(before: str) -> list[str]:
    """Take the words of the command that an option stands in."""
    found: list[str] = _WORD.findall(_NEXT_COMMAND.split(before)[-1])
    return found


def _takes_password(option: str, words: list[str], *, attached: bool) -> bool:
    """Say whether the program among the words before an option of one letter takes a password there."""
    if option == "p":
        line = " ".join(words)
        if any(word.startswith("mongo") for word in words) or _LOGIN.search(line) or _SSHPASS.search(line):
            return True
        # Behind a blank it is the name of a database: the password is asked for.
        return attached and any(word.startswith(("mysql", "mariadb")) for word in words)
    known = "redis-cli" in words if option == "a" else any(word.startswith("ldap") for word in words)
    return known and not attached


def _argument(text: str, start: int, after: int, at: int) -> tuple[int, int]:
    """Find where an option's argument begins and ends: the option is at `start`, and goes to `after`."""
    quoted = _QUOTED.search(text, max(0, start - 9), start)
    if quoted is not None and not {'"', "'"} & set(text[after:at]):
        return at, value_at(text, quoted.start(), "", "")[1]  # both in the same quotes
    return value_at(text, at, "", "")
