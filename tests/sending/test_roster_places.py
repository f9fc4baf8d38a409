"""How many runs may be open at once."""

from __future__ import annotations

import pytest

from mission_tracer._sending.roster_places import most_lanes
from tests.disks import open_files_limit


@pytest.mark.parametrize(("files", "lanes"), [(0, 8), (64, 8), (256, 16), (1000, 62), (4096, 128)])
def test_the_limit_of_open_files_is_followed(files: int, lanes: int) -> None:
    """A process that may open few files has few lanes; one that may open many has no more than are of use."""
    with open_files_limit(files):
        assert most_lanes() == lanes
