"""Lists against a real server: one page, every page, every item, through both clients."""

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mission_tracer import errors
from mission_tracer.client import AsyncMissionsClient, MissionsClient
from mission_tracer.models import MissionRunData
from tests import contract
from tests.scripted import KEY, Answer, Asker, ScriptedServer, scripted_server

RUN = contract.sample("MissionRunData")


@pytest.fixture
def api() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, api: ScriptedServer) -> Asker:
    return Asker(request.param, api)


def page(*names: str, number: int = 1, of: int = 1) -> Answer:
    meta = {"page_number": number, "page_size": 2, "total_pages": of, "total_results": 2 * of}
    return Answer(200, {"data": [{**RUN, "run_id": name} for name in names], "meta": meta})


def queries(api: ScriptedServer) -> list[dict[str, list[str]]]:
    return [parse_qs(urlsplit(seen.target).query) for seen in api.seen]


def every(ask: Asker, question: Any) -> list[str]:
    """Give the ids of all items of a list, however the client goes through it."""
    if ask.kind == "sync":
        return ask(lambda missions: [run.run_id for run in question(missions)])  # type: ignore[no-any-return]

    async def collect(missions: Any) -> list[str]:
        return [run.run_id async for run in question(missions)]

    return ask(collect)  # type: ignore[no-any-return]


def test_iterating_gives_every_item_of_every_page(ask: Asker, api: ScriptedServer) -> None:
    """Iterating over a list reads page after page with the same filters until the last."""
    api.answer(page("a", "b", number=1, of=3), page("c", "d", number=2, of=3), page("e", number=3, of=3))
    assert every(ask, lambda m: m.runs.list("m", status="failed", page_size=2)) == ["a", "b", "c", "d", "e"]
    common = {"status": ["failed"], "page[size]": ["2"]}
    assert queries(api) == [common, {**common, "page[number]": ["2"]}, {**common, "page[number]": ["3"]}]


def test_one_page_holds_its_data_and_place(ask: Asker, api: ScriptedServer) -> None:
    """Calling a list reads one page, typed, with its `meta`, and asks for no other."""
    api.answer(page("c", "d", number=2, of=3))
    got = ask(lambda m: m.runs.list("m", page_number=2))
    assert [type(run) for run in got.data] == [MissionRunData] * 2
    assert (got.meta.page_number, got.meta.total_pages) == (2, 3)
    assert queries(api) == [{"page[number]": ["2"]}]


def test_iterating_begins_with_the_page_asked_for(ask: Asker, api: ScriptedServer) -> None:
    """Iterating over a list from page 2 on does not read page 1."""
    api.answer(page("c", number=2, of=3), page("d", number=3, of=3))
    assert every(ask, lambda m: m.runs.list_runs(page_number=2)) == ["c", "d"]


@pytest.mark.parametrize("last", [page(of=9), page("b", number=1, of=2)])
def test_reading_ends_whatever_the_server_counts(ask: Asker, api: ScriptedServer, last: Answer) -> None:
    """Iterating ends at an empty page, and by our own count when the server always names the same page."""
    api.answer(page("a", of=2), last)
    ids = every(ask, lambda m: m.runs.list("m"))
    assert ids[0] == "a"
    assert len(api.seen) == 2


def test_an_error_on_the_way_reaches_the_reader(ask: Asker, api: ScriptedServer) -> None:
    """Iterating raises when a page cannot be read, after the items before it."""
    api.answer(page("a", of=2), Answer(403, {"detail": "no more"}))
    with pytest.raises(errors.PermissionDeniedError, match="no more"):
        every(ask, lambda m: m.runs.list("m"))


def test_pages_are_read_when_they_are_reached(api: ScriptedServer) -> None:
    """Going through pages reads each no sooner than it is reached, and may begin again from a page in hand."""
    api.answer(page("a", of=2), page("b", number=2, of=2), page("b", number=2, of=2))
    with MissionsClient(KEY, api.url) as client:
        first = client.missions.runs.list("m")
        pages = first.pages()
        assert next(pages) is first
        assert len(api.seen) == 1
        assert [run.run_id for run in next(pages).data] == ["b"]
        assert next(pages, None) is None
        second = first.next()
        assert second is not None
        assert second.next() is None
    assert len(api.seen) == 3


def test_asynchronous_pages_are_read_when_they_are_reached(api: ScriptedServer) -> None:
    """Going through pages with `async for` works from the call, from a page, and page by page."""
    api.answer(*[page("a", of=2), page("b", number=2, of=2)] * 3)

    async def main() -> None:
        async with AsyncMissionsClient(KEY, api.url) as client:
            listing = client.missions.runs.list("m")
            assert api.seen == []
            assert [[run.run_id for run in page.data] async for page in listing.pages()] == [["a"], ["b"]]
            first = await client.missions.runs.list("m")
            assert len(api.seen) == 3
            assert [run.run_id async for run in first] == ["a", "b"]
            assert len(api.seen) == 4
            assert [run.run_id async for run in client.missions.runs.list("m")] == ["a", "b"]

    asyncio.run(main())
