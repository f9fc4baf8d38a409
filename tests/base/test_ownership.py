"""One call, one record: who may record what."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from itertools import product

import pytest

from mission_tracer import _context
from mission_tracer._base.ownership import Rank, disown, may_record, own, owning


@pytest.mark.parametrize(("owner", "rank"), list(product([None, *Rank], Rank)))
def test_only_the_stronger_may_record(owner: Rank | None, rank: Rank) -> None:
    """Inside of a call that somebody records, only who ranks higher records; with no owner, everyone may."""
    before = _context.owner.get()
    _context.owner.set(owner)
    try:
        assert may_record(rank) is (owner is None or rank > owner)
    finally:
        _context.owner.set(before)


def test_frameworks_rank_above_spans_above_clients_above_http() -> None:
    """Who knows more of a call ranks higher."""
    assert sorted(Rank) == [Rank.HTTP, Rank.CLIENT, Rank.SPAN, Rank.FRAMEWORK]


@pytest.mark.parametrize("rank", Rank)
def test_nobody_records_our_own_requests(rank: Rank) -> None:
    """While we make requests of our own, nobody may record, however strong."""
    with _context.silence():
        assert not may_record(rank)
    assert may_record(rank)


def test_owners_nest_and_give_back() -> None:
    """Calls inside of calls belong to the innermost owner; leaving gives them back to the one before, on errors too."""
    outer = own(Rank.CLIENT)
    assert outer.before is None
    assert not may_record(Rank.CLIENT)

    def fail() -> None:
        with owning(Rank.FRAMEWORK):
            assert not may_record(Rank.SPAN)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert may_record(Rank.SPAN)
    assert not may_record(Rank.CLIENT)
    disown(outer)
    assert may_record(Rank.HTTP)


def test_an_owner_that_is_over_owns_nothing_any_more() -> None:
    """A task that outlives the owned call it was started in belongs to whoever owned that call, if anybody."""

    async def outlive(over: asyncio.Event) -> list[bool]:
        inside = [may_record(rank) for rank in (Rank.HTTP, Rank.CLIENT, Rank.SPAN)]
        await over.wait()
        return [*inside, *(may_record(rank) for rank in (Rank.HTTP, Rank.CLIENT, Rank.SPAN))]

    async def main() -> None:
        for outer, after in ((None, [True, True, True]), (Rank.HTTP, [False, True, True])):
            over = asyncio.Event()
            with owning(outer) if outer is not None else contextlib.nullcontext():
                with owning(Rank.CLIENT):
                    task = asyncio.create_task(outlive(over))
                    await asyncio.sleep(0)
                over.set()
                assert await task == [False, False, True, *after]

    asyncio.run(main())


def test_owners_belong_to_their_context() -> None:
    """A task that was started before knows no owner, one that is started inside inherits it, a thread has none."""
    seen: dict[str, bool] = {}

    async def look(name: str, gate: asyncio.Event) -> None:
        await gate.wait()
        seen[name] = may_record(Rank.HTTP)

    async def main() -> None:
        gate = asyncio.Event()
        before = asyncio.create_task(look("before", gate))
        with owning(Rank.CLIENT):
            inside = asyncio.create_task(look("inside", gate))
            await asyncio.sleep(0)
            gate.set()
            await asyncio.gather(before, inside)
            thread = threading.Thread(target=lambda: seen.update(thread=may_record(Rank.HTTP)))
            thread.start()
            thread.join()

    asyncio.run(main())
    assert seen == {"before": True, "inside": False, "thread": True}
