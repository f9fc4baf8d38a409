"""Record a script that logs: its lines become events of the step they are logged in, and carry the run's id.

    pip install mission-tracer
    python examples/logging_script.py

No account, no network. With TELNYX_API_KEY set the run is sent to the Missions API (or to TELNYX_BASE_URL); without it
the run is recorded and waits.
"""

from __future__ import annotations

import logging
import sys

import mission_tracer as mt

log = logging.getLogger("washers")

# ---- the script as it was ----


def find(city: str) -> list[str]:
    """Look for contractors, and say a lot while doing so."""
    log.info("Looking in %s", city)
    found = []
    for page in range(1, 41):
        log.info("Reading page %d", page)  # a burst: forty lines become one event
        if page % 20 == 0:
            found.append(f"Contractor {page}")
    log.warning("Only %d contractors found", len(found), extra={"city": city})
    return found


def call(name: str) -> int:
    """Ask for a quote."""
    log.info("Calling %s", name)
    if name.endswith("40"):
        raise ConnectionError(f"{name} does not answer")
    return 350


# ---- what is new: a line that switches it on, the run's id in the format, and the blocks ----


def main() -> None:
    """Find contractors and call them."""
    mt.instrument("logging", ids=True)
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(mission_run).8s %(levelname)-7s %(message)s")
    quotes = {}
    with mt.mission_run("Find window washers"):
        with mt.plan_step("find"):
            names = find("Chicago")
        with mt.plan_step("call"):
            for name in names:
                try:
                    quotes[name] = call(name)
                except ConnectionError:
                    log.exception("No quote from %s", name)
        log.info("Quotes: %s", quotes)


if __name__ == "__main__":
    main()
