"""What lies where students can see it: the key must not, and other folders have to be covered."""

from __future__ import annotations

from pathlib import Path

from grader.errors import InputError
from grader.installation_key import InstallationKey
from grader.sandbox.jail.readable import find_readable

__all__ = ["has_to_be_covered", "require_out_of_sight"]


def require_out_of_sight(key: InstallationKey) -> None:
    """Refuse a key that lies in a folder that the sandbox shows to students, such as Python's.

    Raises:
        InputError: it does.
    """
    place = key.file and key.file.resolve()
    if place and any(place.is_relative_to(folder) for folder in find_readable()):
        raise InputError(f"students could read the key file {key.file}: set GRADER_KEY_FILE to another folder")


def has_to_be_covered(path: Path) -> bool:
    """Return whether a path, or something in it, lies in a folder that the sandbox shows.

    A sandbox is not told of others, because their names may tell the caller's.
    """
    place = path.resolve()
    return any(place.is_relative_to(folder) or folder.is_relative_to(place) for folder in find_readable())
