"""The assignments on offer. They are read again each time, so that an edited rubric takes effect at once."""

from __future__ import annotations

from pathlib import Path

from grader.assignment import Assignment, find_assignment
from grader.errors import AssignmentError, InputError, SystemFault

__all__ = ["Catalog"]


class Catalog:
    """The assignments of `Settings.assignments`, by name."""

    def __init__(self, assignments: str) -> None:
        """Parse names or paths of assignments, separated by commas. The first one is the default.

        Raises:
            InputError: there is no name.
        """
        self._locations = {Path(entry).name: entry for entry in map(str.strip, assignments.split(",")) if entry}
        if not self._locations:
            raise InputError("GRADER_ASSIGNMENTS names no assignment: give one, as in GRADER_ASSIGNMENTS=hw2")

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of the setting."""
        return tuple(self._locations)

    def find(self, name: str = "") -> Assignment:
        """Load the current version of an assignment; without a name, of the first one.

        Raises:
            InputError: it is not on offer.
            SystemFault: its rubric cannot be read. That is for staff to repair, not for the caller.
        """
        return self.load(self.locate(name))

    def load(self, location: str) -> Assignment:
        """Load an assignment by its location (see `locate`), even if it is no longer on offer.

        Raises:
            SystemFault: its rubric cannot be read.
        """
        try:
            return find_assignment(location)
        except (AssignmentError, OSError) as error:
            raise SystemFault(f"the assignment {location} cannot be read: {error}") from error

    def locate(self, name: str = "") -> str:
        """Return the location of an assignment, its name or path, by which workers find it. The default is the first.

        Raises:
            InputError: it is not on offer.
        """
        name = name or self.names[0]
        if name not in self._locations:
            raise InputError(f"no assignment {name!r} is offered: give one of {', '.join(self.names)}")
        return self._locations[name]
