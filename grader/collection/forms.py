"""The forms in which learning management systems hand a class's work over, told apart by how things are named.

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

from grader.collection.listing import ARCHIVE, NOTEBOOK, Listing, SkippedFile

__all__ = ["CollectionLayout", "Submitter", "detect_layout", "find_submitters", "unwrap"]

# A name holds no number between underscores: Canvas takes such numbers out of it, so the first two are its own.
_CANVAS = re.compile(
    r"(?:(?P<name>.+?)_)?(?P<late>LATE_)?(?:anon_(?P<anonymous>[A-Za-z0-9]+)|(?P<user>\d+))_"
    r"(?:\d+_(?P<file>.+)|(?:text|link)\.html)",
    re.IGNORECASE,
)
# The middle is the plugin's name, which no language pack translates. The number is a group's where groups hand in.
_MOODLE = re.compile(r"(?P<name>.+?)(?:_(?P<number>\d+))?_assignsubmission_[a-z]+(?:_(?P<file>.*))?")
_CLONES = "-submissions"
_CLONE = ".git"
_MOST = 0.5


class CollectionLayout(StrEnum):
    """How a collection is laid out."""

    CANVAS = "Canvas' download"
    MOODLE = "Moodle's download"
    CLONES = "GitHub Classroom's clones"
    FOLDERS = "one folder a student"
    FILES = "one file a student"


@dataclass(frozen=True)
class Submitter:
    """Who handed something in: what makes them one, the name that is shown, and what their system knows.

    Attributes:
        identity: the same for everything that is theirs, and for nothing else.
        name: as the system shows it.
        identifiers: e.g. `canvas_id`.
        file: the file's name as it was handed in, where the system put the rest before it.
        late: whether the system marks it so.
    """

    identity: str
    name: str
    identifiers: Mapping[str, str] = field(default_factory=dict, hash=False)
    file: str = ""
    late: bool = False


def unwrap(listing: Listing) -> tuple[Listing, str]:
    """Go into a folder that holds everything and is no student's own; return what is there, and its name."""
    wrapper = ""
    while True:
        # A file that is no work does not keep a folder from being all there is; another folder may be a student's.
        idle = [file for file in listing.files if len(file.parts) == 1 and not file.may_hold_work]
        tops = set(listing.first_parts()) - {file.parts[0] for file in idle}
        if len(tops) != 1:
            break
        (top,) = tops
        inner = listing.inside(top)
        levels = [len(file.parts) for file in inner.files if file.may_hold_work]
        clone = 1 in levels and any(left.parts == (_CLONE,) for left in inner.left_aside)
        if not levels or levels == [1] or clone or _moodle(top):
            break
        outside = [left for left in listing.left_aside if left.parts[0] != top]
        listing = inner.beside(*outside, *(SkippedFile(file.parts) for file in idle))
        wrapper = top
    return listing, wrapper


def detect_layout(listing: Listing) -> CollectionLayout:
    """Return the form of what is listed, by what most of it at the top is called."""
    files = {file.parts[0] for file in listing.files if len(file.parts) == 1}
    folders = set(listing.first_parts()) - files
    for form, recognise in ((CollectionLayout.MOODLE, _moodle), (CollectionLayout.CANVAS, _canvas)):
        recognised = {top for top in files | folders if recognise(top)}
        working = {file.parts[0] for file in listing.files if file.may_hold_work}
        if recognised and len(recognised) >= _MOST * len(recognised | working):
            return form
    clones = {left.parts[0] for left in listing.left_aside if left.parts[1:] == (_CLONE,)}
    if folders and len(clones & folders) > _MOST * len(folders):
        return CollectionLayout.CLONES
    return CollectionLayout.FOLDERS if _holding_work(listing) else CollectionLayout.FILES


def find_submitters(form: CollectionLayout, listing: Listing, wrapper: str) -> dict[str, Submitter]:
    """Return who each name at the top belongs to; what is nobody's is not in it."""
    files = {file.parts[0]: file.suffix for file in listing.files if len(file.parts) == 1}
    tops = listing.first_parts()
    prefix = (
        _shared_prefix([top for top in tops if top not in files], wrapper) if form is CollectionLayout.CLONES else ""
    )
    by_system: dict[CollectionLayout, Callable[[str], Submitter | None]] = {
        CollectionLayout.CANVAS: _canvas,
        CollectionLayout.MOODLE: _moodle,
        CollectionLayout.CLONES: partial(_clone, prefix=prefix),
    }
    named = by_system.get(form, _nobody)
    # Where folders are students, an empty one is a student's; elsewhere it is only something that lies about.
    by_folder = form in (CollectionLayout.CLONES, CollectionLayout.FOLDERS)
    beside = {*files, *(tops if by_folder else _holding_work(listing))}
    found = {top: named(top) or (_plain(top, files) if top in beside else None) for top in tops}
    return {top: submitter for top, submitter in found.items() if submitter is not None}


def _holding_work(listing: Listing) -> set[str]:
    """Return the folders at the top that hold something to grade."""
    return {file.parts[0] for file in listing.files if len(file.parts) > 1 and file.may_hold_work}


def _nobody(name: str) -> None:
    return None


def _canvas(name: str) -> Submitter | None:
    match = _CANVAS.fullmatch(name)
    if match is None or not (match["name"] or match["anonymous"]):
        return None
    late, file = match["late"] is not None, match["file"] or ""
    if match["anonymous"]:
        anonymous = match["anonymous"]
        return Submitter(f"anon_{anonymous}", f"anon_{anonymous}", {"canvas_anonymous": anonymous}, file, late)
    user = match["user"]
    return Submitter(f"{match['name']}_{user}", match["name"], {"canvas_id": user}, file, late)


def _moodle(name: str) -> Submitter | None:
    match = _MOODLE.fullmatch(name)
    if match is None:
        return None
    number = match["number"]
    if number is None:  # who is in no group hands in as the default group
        return Submitter(match["name"], match["name"], file=match["file"] or "")
    return Submitter(
        f"{match['name']}_{number}", match["name"], {"moodle_participant": number}, file=match["file"] or ""
    )


def _clone(name: str, prefix: str) -> Submitter | None:
    if not prefix or not name.startswith(prefix):
        return None
    login = name.removeprefix(prefix)
    return Submitter(login, login, {"login": login})


def _plain(name: str, files: Mapping[str, str]) -> Submitter | None:
    """Take a name as it is: of a folder, or of a notebook or archive without its ending; other files are nobody's."""
    if name in files and files[name] not in (NOTEBOOK, ARCHIVE):
        return None
    shown = name[: -len(files[name])] if name in files else name
    # A file and a folder of one name are two students', unless somebody says otherwise.
    return Submitter(f"{'file' if name in files else 'folder'} {name}", shown)


def _shared_prefix(folders: list[str], wrapper: str) -> str:
    """Return what comes before the login: the assignment's name and a hyphen."""
    if wrapper.endswith(_CLONES):
        prefix = f"{wrapper.removesuffix(_CLONES)}-"
        if any(folder.startswith(prefix) for folder in folders):
            return prefix
    shared = os.path.commonprefix(folders) if len(folders) > 1 else ""  # noqa: RUF071 - these are no paths
    return shared[: shared.rfind("-") + 1]
