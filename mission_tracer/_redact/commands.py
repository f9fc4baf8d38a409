"""Where passwords stand in commands: `curl -u me:hunter2`, `mysql -phunter2`, `docker login -p hunter2`. Pure.

A text is a shell's line, the repr or JSON of a list, or arguments that each end with a NUL, which no argument holds.
"""

from __future__ import annotations

import re

from mission_tracer._redact.values import Span, unless_innocent, value_at

__all__ = ["OPTION", "commanded", "without_passwords"]

OPTION = r"[uUapw-](?<![^\s\"'`(=\0]-[uUapw-])(?:(?<=--)(?:proxy-)?user(?![A-Za-z0-9_-])|(?<!--))(?P<command>)"
"""What follows the dash of an option that may have a password; it begins with a set, which is ruled out first."""

_BETWEEN = re.compile(r"(?:\\{0,8}[\"'], ?|[= \t\0]{1,16})?")
_USER = re.compile(r"\\{0,8}[\"']?[^\s:/\"'<{\0]{1,128}:(?!//)")
_NUMBERS = re.compile(r"\\{0,8}[\"']?[0-9]{1,10}:[0-9]{1,10}(?![^\s\"'\\\0])")  # ids of a user and a group
_NOTHING = re.compile(r"[\"'](?:[\s,:;)\]}]|\Z)")  # the end of what the option stands in
_QUOTED = re.compile(r"\\{0,8}[\"'`]\Z")
_LONGEST = 4096

_LOOKED_BACK = 256
_NEXT_COMMAND = re.compile(r"[;|&]|(?<!\\)(?:[\r\n]|\\[rn])")
_GAP = r"(?:\\{0,8}[\"'], ?\\{0,8}[\"']|[ \t\0]{1,8})"
_END = r"\\{0,8}[\"']?\Z"
_ANY = rf"{_GAP}(?:.*{_GAP})?{_END}"
_AT = r"(?:^|(?<=[\s\"'`/(=\0]))"
_LOGIN = rf"(?:docker|podman|nerdctl|buildah|skopeo|helm|oras|crane)(?:{_GAP}registry)?{_GAP}login"
# What follows sshpass's own options is another program, whose `-p` is a port.
_P = rf"{_AT}(?:sshpass(?:{_GAP}-\w{{1,32}}){{0,4}}{_GAP}{_END}|(?:{_LOGIN}|mongo\w*){_ANY})"
_NAMES = {"p": ("sshpass", "login", "mongo"), "a": ("redis-cli",), "w": ("ldap",)}
# Not compiled before one of the names is there: that takes longer than most programs record.
_PROGRAMS = {"p": _P, "a": rf"{_AT}redis-cli{_ANY}", "w": rf"{_AT}ldap\w+{_ANY}"}
# Behind a blank it is the name of a database: the password is asked for.
_NAMES_ATTACHED = (*_NAMES["p"], "mysql", "mariadb")
_ATTACHED = rf"{_P}|{_AT}(?:mysql|mariadb)[\w-]*{_ANY}"


def commanded(text: str, found: re.Match[str]) -> Span | None:
    """Find the password of an option, if the program has one there.

    Args:
        text: the text.
        found: the match of a pattern that ends with `OPTION`.
    """
    start, after = found.span()
    option = text[start + 1 : after]
    between = _BETWEEN.match(text, after)
    at = after if between is None else between.end()
    if option in _NAMES:
        if _NOTHING.match(text, at) or not _is_of_program(text, start, option, attached=at == after):
            return None
        return unless_innocent(text, *_argument(text, start, after, at))
    user = _USER.match(text, at)
    if user is None or _NUMBERS.match(text, at) is not None:
        return None
    return unless_innocent(text, user.end(), _argument(text, start, after, at)[1])


def _is_of_program(text: str, start: int, option: str, *, attached: bool) -> bool:
    """Say whether an option belongs to a program that takes a password there."""
    before = text[max(0, start - _LOOKED_BACK) : start]
    names = _NAMES[option] if not attached else _NAMES_ATTACHED if option == "p" else ()
    if not any(name in before for name in names):
        return False
    program = _ATTACHED if attached else _PROGRAMS[option]
    return re.search(program, _NEXT_COMMAND.split(before)[-1], re.DOTALL) is not None


def _argument(text: str, start: int, after: int, at: int) -> tuple[int, int]:
    """Find where an option's argument begins and ends: the option is at `start`, and goes to `after`."""
    end = text.find("\0", at, at + _LONGEST)
    if end >= 0:
        return at, end
    quoted = _QUOTED.search(text, max(0, start - 9), start)
    if quoted is not None and not {'"', "'"} & set(text[after:at]):
        return at, value_at(text, quoted.start(), "", "")[1]  # both in the same quotes
    return value_at(text, at, "", "")


def without_passwords(arguments: list[str]) -> list[str]:
    """Return a command's arguments with a marker in place of each password."""
    text = "".join(f"{argument}\0" for argument in arguments)
    parts: list[str] = []
    at = 0
    for found in re.finditer(rf"(?<![^\0])-{OPTION}", text):
        span = commanded(text, found)
        if span is not None:
            parts += [text[at : span[0]], "[redacted]"]
            at = span[1]
    return "".join([*parts, text[at:]]).split("\0")[:-1]
