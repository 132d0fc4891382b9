"""The assignments that are offered: read again at each need, so that an edited rubric counts at once."""

from __future__ import annotations

from pathlib import Path

from grader.assignment import Assignment, find_assignment
from grader.errors import AssignmentError, InputError, SystemFault

__all__ = ["Catalog"]


class Catalog:
    """The assignments of `Settings.assignments`."""

    def __init__(self, assignments: str) -> None:
        """Take names of, or paths to, assignments, separated by commas; the first is what is meant by none.

        Raises:
            InputError: there is no name.
        """
        self._places = {Path(place).name: place for place in map(str.strip, assignments.split(",")) if place}
        if not self._places:
            raise InputError("GRADER_ASSIGNMENTS names no assignment: give one, as in GRADER_ASSIGNMENTS=hw2")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names, in the order they were given in."""
        return tuple(self._places)

    def find(self, name: str = "") -> Assignment:
        """Return an assignment as it is now; without a name, the first.

        Raises:
            InputError: it is not offered.
            SystemFault: its rubric cannot be read, which is staff's to repair and not the caller's.
        """
        return self.at(self.place(name))

    def at(self, place: str) -> Assignment:
        """Return an assignment by what workers find it by, also one that is not offered any more.

        Raises:
            SystemFault: its rubric cannot be read.
        """
        try:
            return find_assignment(place)
        except (AssignmentError, OSError) as error:
            raise SystemFault(f"the assignment {place} cannot be read: {error}") from error

    def place(self, name: str = "") -> str:
        """Return what workers find an assignment by, its name or its path; without a name, the first's.

        Raises:
            InputError: it is not offered.
        """
        name = name or self.names[0]
        if name not in self._places:
            raise InputError(f"no assignment {name!r} is offered: give one of {', '.join(self.names)}")
        return self._places[name]
