"""Choose where a run is read from: the API where there is a key and a way to it, else the journals of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from mission_tracer.cli._inside.place import load_settings, readable
from mission_tracer.cli._reading import journals, remote
from mission_tracer.cli._reading.picture import RunPicture
from mission_tracer.cli.output import F
from mission_tracer.client import MissionsClient
from mission_tracer.errors import APIConnectionError, APIStatusError
from mission_tracer.settings import Settings

T = TypeVar("T")

_TIMEOUT = 15.0


def offline_option(function: F) -> F:
    """Give a command `--offline`."""
    return click.option("--offline", is_flag=True, help="Read the journals of this machine, ask no server.")(function)


class Sources:
    """Read runs from the API and from the journals.

    Args:
        here: The settings.
        offline: True: the API is not asked.

    Raises:
        ConfigurationError: There is no state directory, or it cannot be read.
    """

    def __init__(self, here: Settings, *, offline: bool) -> None:
        self.settings = here
        self.directory = readable(here)
        self.online = here.api_key is not None and not offline

    @contextmanager
    def client(self) -> Iterator[MissionsClient]:
        """Open a client of the API for the length of a block."""
        here = self.settings
        with MissionsClient(here.api_key, here.base_url, timeout=_TIMEOUT, max_retries=1) as client:
            yield client

    def asked(self, there: Callable[[Sources], T], here: Callable[[Sources], T]) -> T:
        """Return what the API answers, or what is here where it cannot be asked.

        Args:
            there: Asks the API.
            here: Reads the journals.

        Raises:
            APIError: The API refuses.
        """
        if self.online:
            try:
                return there(self)
            except APIConnectionError as error:
                self._goes_offline(error)
        return here(self)

    def _goes_offline(self, error: APIConnectionError) -> None:
        click.echo(f"the API cannot be asked ({error.args[0]}): this is what was recorded here", err=True)
        self.online = False

    def find(self, word: str | None) -> RunPicture | None:
        """Return the run that a word means, the newest one for `None`; `None`: there is no such run.

        Raises:
            click.ClickException: The word is empty, or means more than one run.
            APIError: The API refuses.
        """
        try:
            key = journals.find_key(self.directory, word) if word is not None else self._newest()
        except LookupError as error:
            raise click.ClickException(str(error)) from None
        local = journals.picture(self.directory, key) if key else None
        if not self.online:
            return local
        try:
            return self._ask(word, local) or local
        except APIConnectionError as error:
            if local is None:
                raise
            self._goes_offline(error)
            return local

    def _ask(self, word: str | None, local: RunPicture | None) -> RunPicture | None:
        with self.client() as client:
            if local is not None:
                if local.run_id is None or local.mission_id is None:
                    return None
                try:
                    seen = remote.picture(client, local.mission_id, local.run_id)
                except APIStatusError as error:
                    if error.status != 404:
                        raise
                    return None  # it is another server's
                seen.waiting = local.waiting
                return seen
            try:
                data = remote.find_run(client, word) if word else remote.newest(client)
            except LookupError as error:
                raise click.ClickException(str(error)) from None
            return remote.picture(client, data.mission_id, data.run_id) if data is not None else None

    def _newest(self) -> str | None:
        keys = sorted({*self.directory.keys(), *self.directory.delivered_keys()})
        return keys[-1] if keys else None


def sources(*, offline: bool) -> Sources:
    """Return the sources that the environment names.

    Raises:
        ConfigurationError: There is no state directory, or it cannot be read.
    """
    return Sources(load_settings(), offline=offline)


def no_run(word: str | None, found: Sources) -> click.ClickException:
    """Say that there is no such run."""
    where = f"in {found.directory.root}" + (" or among the recent runs of the API" if found.online else "")
    return click.ClickException(f"no run {word!r} {where}" if word else f"no run {where}")
