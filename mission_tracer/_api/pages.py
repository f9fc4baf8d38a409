"""Turn what a resource describes into what a client gives: a value or an awaitable of it, one page or all items.

A resource is written once. Its methods return a `Call` or a `Listing`; `@sends` and `@lists` perform it, and give
each client's methods their exact types: `Resource[Sync]` answers at once, `Resource[Async]` is awaited.
"""

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from typing_extensions import Self

from mission_tracer._api.endpoints import OPERATIONS, build
from mission_tracer._api.flow import Call
from mission_tracer.models import Meta

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A list operation about to be performed, from one of its pages on.

    Args:
        name: the operation's name without the leading `missions.`.
        number: the page, from 1; None: the first, left to the server's default.
        query: the filters and the page's size.
        path: the ids.
    """

    name: str
    number: int | None
    query: Mapping[str, object]
    path: Mapping[str, str]

    def call(self) -> Call[Any]:
        """Make the call that reads this page."""
        operation = OPERATIONS[f"missions.{self.name}"]
        query = {**self.query, "page[number]": self.number}
        return Call(operation, build(operation, self.path, query), operation.repeatable)

    def after(self, data: list[T], meta: Meta) -> "Listing[T] | None":
        """Give what follows the page that was read; None after the last."""
        # Our own count and not the server's: one that always says "page 1 of 3" must not be asked for ever.
        number = self.number or 1
        last = not data or number >= meta.total_pages
        return None if last else Listing(self.name, number + 1, self.query, self.path)


class Sync(Protocol):
    """Performs calls while the caller waits."""

    def perform(self, what: Call[T]) -> T:
        """Perform a call."""
        ...

    def read(self, listing: Listing[T]) -> "Page[T]":
        """Read one page of a list."""
        ...


class Async(Protocol):
    """Performs calls in coroutines."""

    async def perform(self, what: Call[T]) -> T:
        """Perform a call."""
        ...

    def read(self, listing: Listing[T]) -> "PendingPage[T]":
        """Promise one page of a list."""
        ...


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, and the way to all that follow; iterate over it for every item of every page.

    Args:
        data: the items of this page.
        meta: where this page stands among all.
    """

    data: list[T]
    meta: Meta
    _next: Listing[T] | None = field(repr=False)
    _driver: "Sync" = field(repr=False)

    @classmethod
    def of(cls, answer: Any, listing: Listing[T], driver: "Sync") -> "Page[T]":
        """Make a page of the answer to a listing's call."""
        return cls(answer.data, answer.meta, listing.after(answer.data, answer.meta), driver)

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.data

    def pages(self) -> Iterator["Page[T]"]:
        """Yield this page, then each page after it, read when it is reached."""
        page: Page[T] | None = self
        while page is not None:
            yield page
            page = page.next()

    def next(self) -> "Page[T] | None":
        """Read the page after this one; None: this is the last."""
        return self._driver.read(self._next) if self._next else None


@dataclass(frozen=True, slots=True)
class AsyncPage(Generic[T]):
    """One page of a list, and the way to all that follow; `async for` over it gives every item of every page.

    Args:
        data: the items of this page.
        meta: where this page stands among all.
    """

    data: list[T]
    meta: Meta
    _next: Listing[T] | None = field(repr=False)
    _driver: "Async" = field(repr=False)

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.data:
                yield item

    async def pages(self) -> AsyncIterator["AsyncPage[T]"]:
        """Yield this page, then each page after it, read when it is reached."""
        page: AsyncPage[T] | None = self
        while page is not None:
            yield page
            page = await page.next()

    async def next(self) -> "AsyncPage[T] | None":
        """Read the page after this one; None: this is the last."""
        return await self._driver.read(self._next) if self._next else None


@dataclass(frozen=True, slots=True)
class PendingPage(Generic[T]):
    """A list not read yet: await it for its first page, or go through all its items with `async for`."""

    _listing: Listing[T]
    _driver: "Async" = field(repr=False)

    def __await__(self) -> Generator[Any, Any, AsyncPage[T]]:
        answer = yield from self._driver.perform(self._listing.call()).__await__()
        return AsyncPage(answer.data, answer.meta, self._listing.after(answer.data, answer.meta), self._driver)

    async def __aiter__(self) -> AsyncIterator[T]:
        async for item in await self:
            yield item

    async def pages(self) -> AsyncIterator["AsyncPage[T]"]:
        """Yield every page, read when it is reached."""
        async for page in (await self).pages():
            yield page


class Resource(Generic[D]):
    """A group of operations and the driver that performs them."""

    def __init__(self, driver: D) -> None:
        self._driver = driver

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of the Missions API>"


class _Described(Generic[P]):
    def __init__(self, describe: Callable[Concatenate[Any, P], Any]) -> None:
        self._describe = describe
        self.__doc__ = describe.__doc__
        self.__wrapped__ = describe

    def _bind(self, resource: Resource[Any], perform: Callable[[Any], Any]) -> Callable[P, Any]:
        @functools.wraps(MethodType(self._describe, resource))
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return perform(self._describe(resource, *args, **kwargs))

        return method


class sends(_Described[P], Generic[P, T]):  # noqa: N801 - read as the decorator it is
    """Perform the call that the method describes."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Call[T]]) -> None:
        super().__init__(describe)

    @overload
    def __get__(self, resource: None, owner: type) -> Self: ...
    @overload
    def __get__(self, resource: Resource[Sync], owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, resource: Resource[Async], owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, resource: Resource[Any] | None, owner: type) -> Any:
        return self if resource is None else self._bind(resource, resource._driver.perform)  # noqa: SLF001 - its own resource


class lists(_Described[P], Generic[P, T]):  # noqa: N801 - read as the decorator it is
    """Read the list that the method describes."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Listing[T]]) -> None:
        super().__init__(describe)

    @overload
    def __get__(self, resource: None, owner: type) -> Self: ...
    @overload
    def __get__(self, resource: Resource[Sync], owner: type) -> Callable[P, Page[T]]: ...
    @overload
    def __get__(self, resource: Resource[Async], owner: type) -> Callable[P, PendingPage[T]]: ...
    def __get__(self, resource: Resource[Any] | None, owner: type) -> Any:
        return self if resource is None else self._bind(resource, resource._driver.read)  # noqa: SLF001 - its own resource
