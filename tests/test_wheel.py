"""What `pip` installs has everything that a checkout has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.processes import ROOT

pytest.importorskip("hatchling")
pytest.importorskip("rich")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and unpack it."""
    place = tmp_path_factory.mktemp("wheel")
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(place)], cwd=ROOT, check=True, capture_output=True)
    [built] = place.glob("*.whl")
    zipfile.ZipFile(built).extractall(place / "site")
    return place / "site"


def run(wheel: Path, words: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with the wheel in place of this checkout, in an empty directory."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith(("TELNYX_", "MISSION_TRACER_"))}
    environ |= {"PYTHONPATH": str(wheel), "MISSION_TRACER_DIR": str(cwd / "state")}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environ, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    """Nothing of the package is left out, and its type hints are announced."""
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "mission_tracer").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    # The other tests run what they find here, which leaves compiled files behind.
    unpacked = [path for path in wheel.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    found = {path.relative_to(wheel).as_posix() for path in unpacked}
    assert wanted <= found
    assert "mission_tracer/py.typed" in found
    assert not [name for name in found - wanted if not name.startswith(("mission_tracer-", "mission_tracer/demo/"))]


def test_the_demo_runs_from_a_wheel(wheel: Path, tmp_path: Path) -> None:
    """`mission-tracer demo` finds its agent in the installed package, and leaves nothing behind."""
    done = run(wheel, ["-m", "mission_tracer", "demo"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(wheel / "mission_tracer" / "demo" / "audit_environment.py") in done.stdout
    assert "[succeeded]" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_runner_and_the_server_work_from_a_wheel(wheel: Path, tmp_path: Path) -> None:
    """The directory that prepares a program, and the server's page, are installed."""
    done = run(wheel, ["-m", "mission_tracer", "run", "--step", "__main__:f", "-c", "def f(): print(1)\nf()"], tmp_path)
    assert (done.returncode, done.stdout) == (0, "1\n")
    seen = run(wheel, ["-m", "mission_tracer", "show", "--json"], tmp_path)
    assert [step["step_id"] for step in json.loads(seen.stdout)["steps"]] == ["f"]
    code = "from mission_tracer.server.local import PAGE; print(PAGE.stat().st_size > 1000)"
    assert run(wheel, ["-c", code], tmp_path).stdout == "True\n"
