"""The layouts in which learning management systems export submissions, recognised by the names of files.

Canvas names files in `lib/content_zipper.rb`, Moodle in `mod/assign/classes/downloader.php`; `gh classroom clone
student-repos` clones `<assignment>-<login>` into `<assignment>-submissions`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from grader.collection.listing import ListedFile, Listing, SkippedFile

__all__ = ["CollectionLayout", "Submitter", "detect_layout", "find_submitters", "unwrap"]

# Canvas removes numbers between underscores from names, so the first two such numbers are its own.
_CANVAS = re.compile(
    r"(?:(?P<name>.+?)_)?(?P<late>LATE_)?(?:anon_(?P<anonymous>[A-Za-z0-9]+)|(?P<user>\d+))_"
    r"(?:\d+_(?P<file>.+)|(?:text|link)\.html)",
    re.IGNORECASE,
)
# The middle is the plugin's name, which no language pack translates. The number is the group's if groups submit.
_MOODLE = re.compile(r"(?P<name>.+?)(?:_(?P<number>\d+))?_assignsubmission_[a-z]+(?:_(?P<file>.*))?")
_CLONES = "-submissions"
_CLONE = ".git"
_MOST = 0.5  # the share of names that decides


class CollectionLayout(StrEnum):
    """How the files of a collection are named and arranged."""

    CANVAS = "Canvas' download"
    MOODLE = "Moodle's download"
    CLONES = "GitHub Classroom's clones"
    FOLDERS = "one folder a student"
    FILES = "one file a student"


@dataclass(frozen=True)
class Submitter:
    """The student or group that a file or folder belongs to.

    Attributes:
        identity: the same for all files of one submitter, and different for any two submitters.
        name: the name that the learning management system shows.
        identifiers: ids in that system, such as `canvas_id`.
        file: the original name of the file, if the system put a prefix before it.
        late: whether the system marks it as late.
    """

    identity: str
    name: str
    identifiers: Mapping[str, str] = field(default_factory=dict, hash=False)
    file: str = ""
    late: bool = False


def unwrap(listing: Listing) -> tuple[Listing, str]:
    """Enter folders that hold everything and belong to no student. Return the listing of the last one, and its name."""
    wrapper = ""
    while True:
        # Other files may lie beside such a folder, but no other folder, because that may be a student's.
        other_files = [file for file in listing.files if len(file.parts) == 1 and file.parts not in listing.work_paths]
        tops = set(listing.first_parts()) - {file.parts[0] for file in other_files}
        if len(tops) != 1:
            break
        (top,) = tops
        inner = listing.subfolder(top)
        levels = [len(file.parts) for file in inner.work]
        is_named = any(file.may_hold_work for file in inner.work)
        clone = 1 in levels and any(file.parts == (_CLONE,) for file in inner.skipped)
        if not levels or levels == [1] or (1 in levels and not is_named) or clone or _parse_moodle(top):
            break
        outside = [file for file in listing.skipped if file.parts[0] != top]
        listing = inner.with_skipped_outside(*outside, *(SkippedFile(file.parts) for file in other_files))
        wrapper = top
    return listing, wrapper


def detect_layout(listing: Listing) -> CollectionLayout:
    """Return the layout of a listing, which most of the names at the top level decide."""
    files = {file.parts[0] for file in listing.files if len(file.parts) == 1}
    folders = set(listing.first_parts()) - files
    for layout, recognise in ((CollectionLayout.MOODLE, _parse_moodle), (CollectionLayout.CANVAS, _parse_canvas)):
        recognised = {top for top in files | folders if recognise(top)}
        working = {file.parts[0] for file in listing.work}
        if recognised and len(recognised) >= _MOST * len(recognised | working):
            return layout
    clones = {file.parts[0] for file in listing.skipped if file.parts[1:] == (_CLONE,)}
    if folders and len(clones & folders) > _MOST * len(folders):
        return CollectionLayout.CLONES
    return CollectionLayout.FOLDERS if _folders_with_work(listing) else CollectionLayout.FILES


def find_submitters(layout: CollectionLayout, listing: Listing, wrapper: str) -> dict[str, Submitter]:
    """Return the submitter of each name at the top level, without names that belong to no submitter."""
    files = {file.name: file for file in listing.files if len(file.parts) == 1}
    tops = listing.first_parts()
    prefix = (
        _shared_prefix([top for top in tops if top not in files], wrapper) if layout is CollectionLayout.CLONES else ""
    )
    by_system: dict[CollectionLayout, Callable[[str], Submitter | None]] = {
        CollectionLayout.CANVAS: _parse_canvas,
        CollectionLayout.MOODLE: _parse_moodle,
        CollectionLayout.CLONES: partial(_parse_clone, prefix=prefix),
    }
    parse = by_system.get(layout, _parse_none)
    # An empty folder is a student's if folders are students; in other layouts it means nothing.
    by_folder = layout in (CollectionLayout.CLONES, CollectionLayout.FOLDERS)
    others = {*files, *(tops if by_folder else _folders_with_work(listing))}
    named = {file.stem for file in files.values() if file.parts in listing.work_paths}

    def parse_plain(top: str) -> Submitter | None:
        if top in files and (top,) not in listing.work_paths and not is_form_of_work(files[top]):
            return None
        return _parse_plain(top, files.get(top))

    def is_form_of_work(file: ListedFile) -> bool:
        # Beside folders of students, a PDF is the course's; beside notebooks, it is a student's, too.
        return layout is CollectionLayout.FILES and (file.stem in named or file.is_meant_as_work())

    submitters = {top: parse(top) or (parse_plain(top) if top in others else None) for top in tops}
    return {top: submitter for top, submitter in submitters.items() if submitter is not None}


def _folders_with_work(listing: Listing) -> set[str]:
    """Return the folders at the top level that hold something to grade."""
    return {file.parts[0] for file in listing.work if len(file.parts) > 1}


def _parse_none(name: str) -> None:
    return None


def _parse_canvas(name: str) -> Submitter | None:
    match = _CANVAS.fullmatch(name)
    if match is None or not (match["name"] or match["anonymous"]):
        return None
    late, file = match["late"] is not None, match["file"] or ""
    if match["anonymous"]:
        anonymous = match["anonymous"]
        return Submitter(f"anon_{anonymous}", f"anon_{anonymous}", {"canvas_anonymous": anonymous}, file, late)
    user = match["user"]
    return Submitter(f"{match['name']}_{user}", match["name"], {"canvas_id": user}, file, late)


def _parse_moodle(name: str) -> Submitter | None:
    match = _MOODLE.fullmatch(name)
    if match is None:
        return None
    number = match["number"]
    if number is None:  # the default group, of students who are in no group
        return Submitter(match["name"], match["name"], file=match["file"] or "")
    return Submitter(
        f"{match['name']}_{number}", match["name"], {"moodle_participant": number}, file=match["file"] or ""
    )


def _parse_clone(name: str, prefix: str) -> Submitter | None:
    if not prefix or not name.startswith(prefix):
        return None
    login = name.removeprefix(prefix)
    return Submitter(login, login, {"login": login})


def _parse_plain(name: str, file: ListedFile | None) -> Submitter:
    """Return the submitter whose name is that of a folder, or of files that differ in their endings only."""
    # A file and a folder of one name belong to two students.
    return Submitter(f"folder {name}", name) if file is None else Submitter(f"file {file.stem}", file.stem)


def _shared_prefix(folders: list[str], wrapper: str) -> str:
    """Return the part of the names before the login: the assignment's name and a hyphen."""
    if wrapper.endswith(_CLONES):
        prefix = f"{wrapper.removesuffix(_CLONES)}-"
        if any(folder.startswith(prefix) for folder in folders):
            return prefix
    shared = os.path.commonprefix(folders) if len(folders) > 1 else ""  # noqa: RUF071 - these are not paths
    return shared[: shared.rfind("-") + 1]
