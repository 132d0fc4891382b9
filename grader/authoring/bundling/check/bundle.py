"""Read a bundle: the recorded cases of an assignment. Needs no torch until something is judged."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.authoring.bundling.check.results import ItemCheck

__all__ = ["CASES", "Bundle"]

CASES = "cases.json"


@dataclass(frozen=True)
class Bundle:
    """The recorded cases of an assignment.

    Attributes:
        title: the assignment's title.
        items: the items, as they are stored.
        left_out: the items that only the course's grader can judge, each with the reason.
    """

    title: str
    items: Sequence[Mapping[str, Any]]
    left_out: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Bundle:
        """Read a bundle from its zip or its folder."""
        name = f"check/{CASES}"
        if path.is_dir():
            return cls.from_json((path / name).read_text(encoding="utf-8"))
        with zipfile.ZipFile(path) as archive:
            return cls.from_json(archive.read(name).decode("utf-8"))

    @classmethod
    def from_json(cls, text: str) -> Bundle:
        """Return the bundle stored as JSON in `text`."""
        content = json.loads(text)
        return cls(content["title"], content["items"], content["left_out"])

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the definitions that can be checked."""
        return tuple(dict.fromkeys(item["names"][0] for item in self.items))

    @property
    def used(self) -> tuple[str, ...]:
        """All names that the items use."""
        return tuple(dict.fromkeys(name for item in self.items for name in item["names"]))

    def judge(self, names: Mapping[str, Any], *changed: str, seconds: float = 60) -> Iterator[ItemCheck]:
        """Judge the items that use one of the changed names.

        Args:
            names: the notebook's definitions by name.
            changed: the names that changed.
            seconds: the time limit for each case.
        """
        from grader.authoring.bundling.check.judging import judge_item

        for item in self.find_changed(names, changed):
            yield judge_item(item, names, seconds)

    def find_changed(self, names: Iterable[str], changed: Iterable[str]) -> Sequence[Mapping[str, Any]]:
        """Return the items whose definition exists and that use one of the changed names."""
        defined, wanted = set(names), set(changed)
        return [item for item in self.items if item["names"][0] in defined and wanted & set(item["names"])]
