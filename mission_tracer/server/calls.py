"""What a handler receives: one request, read and checked, with the store and the clock it may use."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from mission_tracer.models import Meta, MissionRunData
from mission_tracer.server.answers import Answer, InvalidError, RefusedError, fault, paged
from mission_tracer.server.validation import is_uuid, page_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mission_tracer.server.behaviour import Behaviour
    from mission_tracer.server.store import Store, Table

T = TypeVar("T")
_run_decoder = msgspec.json.Decoder(MissionRunData)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to one operation, inside its transaction.

    Args:
        store: where the state is; the transaction is open already.
        behaviour: what holds for this request.
        now: the moment of its arrival, in UTC.
        path: the ids of the path.
        query: the query parameters as text; of a repeated one the last.
        body: a request of `mission_tracer.models`; the raw bytes where the contract declares none.
    """

    store: Store
    behaviour: Behaviour
    now: datetime
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any

    def mission(self, *, any_id: bool = False) -> bytes:
        """Return the mission of the path.

        Args:
            any_id: the contract takes any text as its id here, not only a UUID.

        Raises:
            RefusedError: 404, it does not exist.
            InvalidError: it does not exist and the contract wants a UUID.
        """
        doc = self.store.fetch("missions", mission_id=self.path["mission_id"])
        if doc is None:
            raise self._absent() if not any_id else missing("mission", self.path["mission_id"])
        return doc

    def run(self) -> MissionRunData:
        """Return the run of the path.

        Raises:
            RefusedError: 404, the mission does not have it.
            InvalidError: it does not exist and one of the ids is no UUID.
        """
        return _run_decoder.decode(self.run_doc())

    def run_doc(self) -> bytes:
        """Return the run of the path as it is stored; raises as `run` does."""
        doc = self.store.fetch("runs", run_id=self.path["run_id"], mission_id=self.path["mission_id"])
        if doc is None:
            raise self._absent()
        return doc

    def page(self, table: Table, *, default_size: int, **where: str | None) -> Answer:
        """Answer with the page that the query asks for.

        Args:
            table: what is listed.
            default_size: how many documents a page has when the query does not say.
            where: the columns to filter by; None does not filter.

        Raises:
            InvalidError: the page's number or size is out of range.
        """
        number, size = page_of(self.query, default_size=default_size)
        total = self.store.count(table, **where)
        offset = (number - 1) * size
        docs = self.listed(table, limit=size, offset=offset, **where) if offset < total else []
        meta = Meta(page_number=number, page_size=size, total_pages=-(-total // size), total_results=total)
        return paged(docs, meta)

    def listed(self, table: Table, *, limit: int = -1, offset: int = 0, **where: str | None) -> list[bytes]:
        """Return documents in the order that `list_order` asks for."""
        newest = self.behaviour.list_order == "newest"
        return self.store.select(table, order="seq DESC" if newest else "seq", limit=limit, offset=offset, **where)

    def absent_delete(self, what: str, which: str) -> Answer:
        """Answer a deletion of something that is not there.

        Raises:
            RefusedError: 404, unless `absent_delete` accepts it.
        """
        if self.behaviour.absent_delete == "accept":
            return Answer(204)
        raise missing(what, which)

    def _absent(self) -> Exception:
        """Say why the mission or run of the path cannot be found: no UUID where one is due, or simply absent."""
        mission_id, run_id = self.path["mission_id"], self.path.get("run_id")
        known = self.store.fetch("missions", mission_id=mission_id) is not None
        faults = [] if known or is_uuid(mission_id) else [_no_uuid("mission_id")]
        if run_id is not None and not is_uuid(run_id) and self.store.fetch("runs", run_id=run_id) is None:
            faults.append(_no_uuid("run_id"))
        if faults:
            return InvalidError(*faults)
        return missing("mission", mission_id) if not known or run_id is None else missing("run", run_id)


def _no_uuid(name: str) -> Any:
    return fault(["path", name], "Input should be a valid UUID", "uuid_parsing")


def missing(what: str, which: str) -> RefusedError:
    """Return the 404 for one thing."""
    return RefusedError(404, f"there is no {what} {which!r}")


def given(value: T | UnsetType) -> T | None:
    """Return the value of an optional field, None when it was left out."""
    return None if value is UNSET else value


def new_id() -> str:
    """Return an id for something new."""
    return str(uuid.uuid4())
