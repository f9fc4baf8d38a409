"""What type checkers say of decorated callables and of blocks, held against what they said when it was looked at.

`python tests/typing/test_golden.py` writes the golden files anew: look at the difference before it is kept.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

CASES = Path(__file__).parent / "cases"
GOLDEN = Path(__file__).parent / "golden"
# What differs from one version of a checker to the next and says nothing of us.
NOISE = re.compile(r"\b(builtins|typing|types|collections\.abc|typing_extensions|functions|methods|mission_tracer\.[\w.]+)\.")


def say_mypy(place: Path) -> list[str]:
    """Ask mypy, as strict as it can be; say each revealed type and each error's code."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-version=3.10", "--cache-dir"]
    done = subprocess.run(
        [*command, str(place / "cache"), "--follow-imports=silent", "cases"],
        capture_output=True,
        text=True,
        check=False,
        cwd=place,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    lines = []
    for line in done.stdout.splitlines():
        found = re.match(r"cases/(\w+)\.py:(\d+): (note: Revealed type is \"(.*)\"|error: .*\[([\w-]+)\])$", line)
        if found:
            what = found[4] if found[4] is not None else f"error {found[5]}"
            lines.append(f"{found[1]}:{int(found[2]):03}: {NOISE.sub('', what)}")
    return sorted(lines)


def say_pyright(place: Path) -> list[str]:
    """Ask pyright, as strict as it can be; say each revealed type and each error's rule."""
    (place / "pyrightconfig.json").write_text(
        json.dumps({"include": ["cases"], "typeCheckingMode": "strict", "pythonVersion": "3.10"})
    )
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "-p", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    lines = []
    for found in json.loads(done.stdout)["generalDiagnostics"]:
        where = f"{Path(found['file']).stem}:{found['range']['start']['line'] + 1:03}"
        revealed = re.search(r' is "(.*)"$', found["message"])
        if found["severity"] == "information" and revealed:
            lines.append(f"{where}: {revealed[1]}")
        else:
            lines.append(f"{where}: error {found['rule']}")
    return sorted(lines)


CHECKERS = {"mypy": say_mypy, "pyright": say_pyright}


def say(checker: str) -> str:
    """Say what a checker says of all cases."""
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(CASES, Path(name) / "cases")
        return "\n".join(CHECKERS[checker](Path(name).resolve())) + "\n"


@pytest.mark.parametrize("checker", CHECKERS)
def test_types_are_as_they_were_written(checker: str) -> None:
    """Every revealed type and every reported mistake is the golden one; nothing else is reported."""
    pytest.importorskip(checker)
    assert say(checker) == (GOLDEN / f"{checker}.txt").read_text()


@pytest.mark.parametrize("checker", CHECKERS)
def test_every_mistake_is_reported(checker: str) -> None:
    """Each line of mistakes.py that calls something wrongly has an error in the golden file, and no other line has."""
    lines = (CASES / "mistakes.py").read_text().splitlines()
    begin = lines.index("agent()") + 1
    fine = ("with ", "#")
    wrong = {n for n, line in enumerate(lines, start=1) if n >= begin and line.strip() and not line.startswith(fine)}
    golden = (GOLDEN / f"{checker}.txt").read_text()
    assert {int(n) for n in re.findall(r"^mistakes:(\d+): error", golden, re.MULTILINE)} == wrong


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each in CHECKERS:
        (GOLDEN / f"{each}.txt").write_text(say(each))
