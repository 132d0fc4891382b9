"""From a folder, a zip file or notebooks to what each student handed in."""

from __future__ import annotations

import io
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from grader.collection.archive import (
    DEFAULT_ARCHIVE_BOUNDS,
    Allowance,
    ArchiveBounds,
    ArchiveTooLarge,
    list_archive,
)
from grader.collection.collected import CollectedSubmission, Collection
from grader.collection.folder import list_folder, read_file
from grader.collection.forms import CollectionLayout, Submitter, detect_layout, find_submitters, unwrap
from grader.collection.listing import ARCHIVE, NOTEBOOK, ListedFile, Listing, SkippedFile
from grader.errors import InputError
from grader.submission.notebook_json import DEFAULT_BOUNDS

__all__ = ["collect", "collect_archive", "collect_notebooks"]

_KEY_BYTES = 120  # of a name in UTF-8; file systems take 255, and endings and numbers come after it
_UNSAFE = re.compile(r"[^\w.\-]+")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)  # on Windows
_SHOWN = 5


def collect(path: Path, bounds: ArchiveBounds = DEFAULT_ARCHIVE_BOUNDS) -> Collection:
    """Collect what a class handed in from a folder, a zip file, or a single notebook.

    Raises:
        InputError: the path is none of them, cannot be read, is past its bounds, or holds no notebook.
    """
    collecting = _Collecting(bounds)
    real = path.resolve()
    if real.is_dir():
        return collecting.collection(str(path), list_folder(real), path.name or real.name)
    if path.suffix.casefold() == NOTEBOOK:
        try:
            return collect_notebooks([(path.name, read_file(real))])
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    try:
        with open(real, "rb") as file:
            if path.suffix.casefold() != ARCHIVE and not zipfile.is_zipfile(file):
                raise InputError(f"{path}: this is no folder, zip file or notebook; give one of them")
            return collecting.of_archive(str(path), file, path.stem)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its name and permissions") from None


def collect_archive(name: str, data: bytes, bounds: ArchiveBounds = DEFAULT_ARCHIVE_BOUNDS) -> Collection:
    """Collect what a class handed in from a zip file's bytes; `name` is what messages call it.

    Raises:
        InputError: it is no zip file, is damaged or encrypted as a whole, is past its bounds, or holds no notebook.
    """
    collecting = _Collecting(bounds)
    return collecting.of_archive(name, io.BytesIO(data), Path(name).stem)


def collect_notebooks(files: Iterable[tuple[str, bytes]], bounds: ArchiveBounds = DEFAULT_ARCHIVE_BOUNDS) -> Collection:
    """Collect files that were given one by one, by name and bytes; they may be named as an LMS names them.

    Raises:
        InputError: there is no notebook among them.
    """
    given = [ListedFile(_path_parts(name), partial(_given, data)) for name, data in files]
    # Two that are called the same are two students', whose folders may tell who.
    found = [
        ListedFile(tuple(name.split("/")), file.read) for name, file in zip(_file_names(given), given, strict=True)
    ]
    return _Collecting(bounds).collection("the files", Listing(tuple(sorted(found, key=lambda file: file.parts))), "")


@dataclass
class _Group:
    """What one submitter handed in, before it is read."""

    submitter: Submitter
    files: list[ListedFile]
    left_aside: list[SkippedFile]
    late: bool = False


class _Collecting:
    """One collection on its way: what may still be unpacked of all its archives together."""

    def __init__(self, bounds: ArchiveBounds) -> None:
        self.bounds = bounds
        self.allowance = Allowance(bounds.bytes, bounds.all_entries)
        self.depth = 0  # of the archive that the listing is of

    def of_archive(self, source: str, file: BinaryIO, wrapper: str) -> Collection:
        """Return what each submitter handed in of an archive that stays open meanwhile."""
        try:
            listing = list_archive(file, self.allowance, self.bounds)
        except InputError as error:
            raise InputError(f"{source}: {error}") from error
        self.depth = 1
        return self.collection(source, listing, wrapper)

    def collection(self, source: str, listing: Listing, wrapper: str) -> Collection:
        """Return what each submitter handed in."""
        try:
            listing, inner = self._opened(*unwrap(listing))
            form = detect_layout(listing)
            theirs = find_submitters(form, listing, inner or wrapper)
            groups, nobodys = _groups(listing, theirs)
            entries = [(group, *self._read(group)) for group in groups]
        except InputError as error:
            raise InputError(f"{source}: {error}") from error
        if not entries:
            raise InputError(f"{source}: there is no notebook in it; give a folder or zip file of .ipynb files")
        keys = _keys([group.submitter for group in groups])
        handed_in = [
            CollectedSubmission(key, group.submitter.name, dict(group.submitter.identifiers), files, notices)
            for key, (group, files, notices) in zip(keys, entries, strict=True)
        ]
        return Collection(form, tuple(sorted(handed_in, key=lambda each: each.key)), _notices(nobodys))

    def _opened(self, listing: Listing, wrapper: str) -> tuple[Listing, str]:
        """Go into an archive that has all the work there is, unless it is one student's."""
        work = [file for file in listing.files if file.may_hold_work]
        if len(work) != 1 or work[0].suffix != ARCHIVE or detect_layout(listing) is not CollectionLayout.FILES:
            return listing, wrapper
        (archive,) = work
        inside, inner = unwrap(self._inside(archive, self.depth + 1, self.allowance))
        if detect_layout(inside) is CollectionLayout.FILES and sum(each.may_hold_work for each in inside.files) < 2:
            return listing, wrapper
        self.depth += 1
        beside = [SkippedFile(file.parts) for file in listing.files if file is not archive]
        return inside.beside(*listing.left_aside, *beside), inner or archive.parts[-1][: -len(ARCHIVE)]

    def _read(self, group: _Group) -> tuple[tuple[tuple[str, bytes], ...], tuple[str, ...]]:
        """Return a submitter's notebooks, and the notices on all else."""
        left_aside = list(group.left_aside)
        own = Allowance(self.bounds.inner_bytes, self.bounds.entries, self.allowance)
        notebooks = self._notebooks(group.files, left_aside, self.depth, own)
        files = []
        for name, found in zip(_file_names(notebooks), notebooks, strict=True):
            try:
                files.append((name, found.read()))
            except ArchiveTooLarge:
                raise
            except InputError as error:
                left_aside.append(SkippedFile(found.parts, str(error)))
        notices = ["it was handed in late"] if group.late else []
        if not files:
            notices.append("there is no notebook in it")
        return tuple(files), (*notices, *_notices(left_aside))

    def _notebooks(
        self, files: list[ListedFile], left_aside: list[SkippedFile], depth: int, own: Allowance
    ) -> list[ListedFile]:
        """Return the notebooks among files; archives are looked into only where there are none beside them."""
        notebooks = [file for file in files if file.suffix == NOTEBOOK]
        looked_into = not notebooks
        for file in files:
            if file.suffix == NOTEBOOK:
                continue
            if file.suffix != ARCHIVE or not looked_into:
                left_aside.append(SkippedFile(file.parts))
                continue
            try:
                inside = self._inside(file, depth + 1, own)
            except ArchiveTooLarge:
                raise
            except InputError as error:
                left_aside.append(SkippedFile(file.parts, str(error)))
                continue
            left_aside += [SkippedFile((*file.parts, *left.parts), left.why) for left in inside.left_aside]
            inner = [ListedFile((*file.parts, *each.parts), each.read) for each in inside.files]
            notebooks += self._notebooks(inner, left_aside, depth + 1, own)
        return notebooks

    def _inside(self, file: ListedFile, depth: int, allowance: Allowance) -> Listing:
        if depth > self.bounds.depth:
            raise InputError("it is an archive in an archive in an archive; unpack it once")
        data = file.read()
        if len(data) > DEFAULT_BOUNDS.file_bytes:
            raise InputError(f"it has more than {DEFAULT_BOUNDS.file_bytes >> 20} MB; pack the notebooks alone")
        return list_archive(io.BytesIO(data), allowance, self.bounds)


def _groups(listing: Listing, theirs: dict[str, Submitter]) -> tuple[list[_Group], list[SkippedFile]]:
    """Put together what belongs to one submitter; return it with what is nobody's."""
    groups: dict[str, _Group] = {}
    nobodys: list[SkippedFile] = []
    for submitter in theirs.values():
        group = groups.setdefault(submitter.identity, _Group(submitter, [], []))
        group.late |= submitter.late
    for file in listing.files:
        if (owner := theirs.get(file.parts[0])) is None:
            nobodys.append(SkippedFile(file.parts))
        elif len(file.parts) == 1:
            groups[owner.identity].files.append(ListedFile((owner.file or file.parts[0],), file.read))
        else:
            groups[owner.identity].files.append(file.below())
    for left in listing.left_aside:
        if len(left.parts) > 1 and (owner := theirs.get(left.parts[0])) is not None:
            groups[owner.identity].left_aside.append(left.below())
        else:
            nobodys.append(left)
    return list(groups.values()), nobodys


def _keys(everybody: list[Submitter]) -> list[str]:
    """Return a key for each submitter that is safe as a file's name; duplicates get a number."""
    taken: Counter[str] = Counter()
    keys = []
    for submitter in everybody:
        identified = f"{submitter.name}_{next(iter(submitter.identifiers.values()), '')}"
        known = submitter.identifiers and submitter.name not in submitter.identifiers.values()
        stem = _safe(identified if known and "canvas_anonymous" not in submitter.identifiers else submitter.name)
        keys.append(_numbered(stem, "", taken))
    return keys


def _safe(name: str) -> str:
    safe = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip("._-")
    safe = safe.encode()[:_KEY_BYTES].decode(errors="ignore") or "submission"
    return f"_{safe}" if _RESERVED.fullmatch(safe) else safe


def _file_names(notebooks: list[ListedFile]) -> list[str]:
    """Return each notebook's last part, or its whole path where another has the same; what still agrees is numbered."""
    last = Counter(found.parts[-1].casefold() for found in notebooks)
    taken: Counter[str] = Counter()
    names = []
    for found in notebooks:
        name = found.parts[-1] if last[found.parts[-1].casefold()] == 1 else "/".join(found.parts)
        names.append(_numbered(name[: len(name) - len(found.suffix)], found.suffix, taken))
    return names


def _numbered(stem: str, ending: str, taken: Counter[str]) -> str:
    """Return a name that is not taken yet, whatever its case, and take it; `taken` counts on, so many cost little."""
    name = f"{stem}{ending}"
    while taken[name.casefold()]:
        taken[f"{stem}{ending}".casefold()] += 1
        name = f"{stem}-{taken[f'{stem}{ending}'.casefold()]}{ending}"
    taken[name.casefold()] += 1
    return name


def _notices(left_aside: Iterable[SkippedFile]) -> tuple[str, ...]:
    """Say what was left aside: one by one where there is a reason, together where its kind says it."""
    seen = list(dict.fromkeys(left_aside))
    notices = [f"{'/'.join(left.parts)}: {left.why}" for left in seen if left.why]
    plain = ["/".join(left.parts) for left in seen if not left.why]
    if plain:
        more = f" and {len(plain) - _SHOWN:,} more" if len(plain) > _SHOWN else ""
        notices.append(f"left aside, no notebooks of the submission: {', '.join(plain[:_SHOWN])}{more}")
    return tuple(notices)


def _path_parts(name: str) -> tuple[str, ...]:
    """Return the parts of a path that somebody gave as a file's name; it names nothing on this machine."""
    parts = unicodedata.normalize("NFC", name).replace("\\", "/").split("/")
    return tuple(part for part in parts if part not in ("", ".", "..")) or (f"notebook{NOTEBOOK}",)


def _given(data: bytes) -> bytes:
    return data
