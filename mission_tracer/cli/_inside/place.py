"""Know from the environment how and where a command works."""

from __future__ import annotations

import os
import sys

from mission_tracer._disk.directory import Directory
from mission_tracer.errors import ConfigurationError, MissionTracerError
from mission_tracer.settings import NO_DIRECTORY, Settings

TROUBLE = (MissionTracerError, OSError)
"""What may keep a command from being done."""

FAILED = 2


def complain(error: Exception) -> int:
    """Say in one line what went wrong; return the exit status for it."""
    message = str(error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        message = f"{error.filename}: {error.strerror}"
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    return FAILED


def load_settings(**given: object) -> Settings:
    """Read the settings; what is wrong in the environment is said, and done without.

    Raises:
        ConfigurationError: A value that was given is wrong.
    """
    settings, problems = Settings.tolerate(given, environ=os.environ)
    for problem in problems:
        sys.stderr.write(f"warning: {problem}\n")
    return settings


def directory(settings: Settings) -> Directory:
    """Return the state directory.

    Raises:
        ConfigurationError: There is none.
    """
    if settings.dir is None:
        raise ConfigurationError(NO_DIRECTORY)
    return Directory(settings.dir, power=settings.durability == "power")


def readable(settings: Settings) -> Directory:
    """Return the state directory, once it is seen that what is not found in it is not there.

    Raises:
        ConfigurationError: There is none, or it cannot be read.
    """
    found = directory(settings)
    for place in (found.runs, found.delivered):
        try:
            os.scandir(place).close()
        except FileNotFoundError:
            continue
        except OSError as error:
            said = f"{place} cannot be read: {error.strerror}; is MISSION_TRACER_DIR right?"
            raise ConfigurationError(said) from None
    return found
