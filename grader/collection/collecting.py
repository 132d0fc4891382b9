"""Collects the submissions of a class from a folder, a zip file or notebooks."""

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
from grader.collection.layouts import CollectionLayout, Submitter, detect_layout, find_submitters, unwrap
from grader.collection.listing import ARCHIVE, NOTEBOOK, ListedFile, Listing, SkippedFile
from grader.errors import InputError
from grader.submission.notebook_json import DEFAULT_BOUNDS

__all__ = ["collect", "collect_archive", "collect_notebooks"]

_KEY_BYTES = 120  # of a name in UTF-8; file systems take 255, and a number and an extension follow
_UNSAFE = re.compile(r"[^\w.\-]+")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)  # on Windows
_SHOWN = 5


def collect(path: Path, bounds: ArchiveBounds = DEFAULT_ARCHIVE_BOUNDS) -> Collection:
    """Collect the submissions of a class from a folder, a zip file, or a single notebook.

    Raises:
        InputError: the path is none of them, cannot be read, exceeds the bounds, or holds no notebook.
    """
    collecting = _Collecting(bounds)
    real = path.resolve()
    if real.is_dir():
        return collecting.collect(str(path), list_folder(real), path.name or real.name)
    if path.suffix.casefold() == NOTEBOOK:
        try:
            return collect_notebooks([(path.name, read_file(real))])
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    try:
        with open(real, "rb") as file:
            if path.suffix.casefold() != ARCHIVE and not zipfile.is_zipfile(file):
                raise InputError(f"{path}: this is no folder, zip file or notebook; give one of them")
            return collecting.collect_archive(str(path), file, path.stem)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its name and permissions") from None


def collect_archive(name: str, data: bytes, bounds: ArchiveBounds = DEFAULT_ARCHIVE_BOUNDS) -> Collection:
    """Collect the submissions of a class from the bytes of a zip file; messages call it `name`.

    Raises:
        InputError: it is not a zip file, is damaged or encrypted as a whole, exceeds the bounds, or holds no notebook.
    """
    collecting = _Collecting(bounds)
    return collecting.collect_archive(name, io.BytesIO(data), Path(name).stem)


def collect_notebooks(files: Iterable[tuple[str, bytes]], bounds: ArchiveBounds = DEFAULT_ARCHIVE_BOUNDS) -> Collection:
    """Collect single files, given by name and content. They may have the names that an LMS gives them.

    Raises:
        InputError: there is no notebook among them.
    """
    listed = [ListedFile(_path_parts(name), partial(bytes, data)) for name, data in files]
    # Two files of one name belong to two students, whom their folders may tell apart.
    named = [
        ListedFile(tuple(name.split("/")), file.read) for name, file in zip(_file_names(listed), listed, strict=True)
    ]
    return _Collecting(bounds).collect("the files", Listing(tuple(sorted(named, key=lambda file: file.parts))), "")


@dataclass
class _Group:
    """The files of one submitter, before they are read."""

    submitter: Submitter
    files: list[ListedFile]
    skipped: list[SkippedFile]
    late: bool = False


class _Collecting:
    """A collection in progress, with what may still be unpacked of all its archives together."""

    def __init__(self, bounds: ArchiveBounds) -> None:
        self.bounds = bounds
        self.allowance = Allowance(bounds.bytes, bounds.all_entries)
        self.depth = 0  # of the archive that is listed

    def collect_archive(self, source: str, file: BinaryIO, wrapper: str) -> Collection:
        """Return the submissions in an archive, which must stay open meanwhile; arguments as for `collect`."""
        try:
            listing = list_archive(file, self.allowance, self.bounds)
        except InputError as error:
            raise InputError(f"{source}: {error}") from error
        self.depth = 1
        return self.collect(source, listing, wrapper)

    def collect(self, source: str, listing: Listing, wrapper: str) -> Collection:
        """Return the submissions in a listing.

        Args:
            source: what messages call it.
            listing: the files.
            wrapper: the name of the folder or archive around them.
        """
        try:
            listing, inner = self._open_inner_archive(*unwrap(listing))
            layout = detect_layout(listing)
            submitters = find_submitters(layout, listing, inner or wrapper)
            groups, unowned = _group(listing, submitters)
            entries = [(group, *self._read(group)) for group in groups]
        except InputError as error:
            raise InputError(f"{source}: {error}") from error
        if not entries:
            raise InputError(f"{source}: there is no notebook in it; give a folder or zip file of .ipynb files")
        keys = _make_keys([group.submitter for group in groups])
        submissions = [
            CollectedSubmission(key, group.submitter.name, dict(group.submitter.identifiers), files, notices)
            for key, (group, files, notices) in zip(keys, entries, strict=True)
        ]
        return Collection(layout, tuple(sorted(submissions, key=lambda item: item.key)), _describe(unowned))

    def _open_inner_archive(self, listing: Listing, wrapper: str) -> tuple[Listing, str]:
        """Return the contents and the name of the only archive with work in it, unless it is one student's."""
        work = [file for file in listing.files if file.may_hold_work]
        if len(work) != 1 or work[0].suffix != ARCHIVE or detect_layout(listing) is not CollectionLayout.FILES:
            return listing, wrapper
        (archive,) = work
        inside, inner = unwrap(self._list_inner(archive, self.depth + 1, self.allowance))
        if detect_layout(inside) is CollectionLayout.FILES and sum(file.may_hold_work for file in inside.files) < 2:
            return listing, wrapper
        self.depth += 1
        others = [SkippedFile(file.parts) for file in listing.files if file is not archive]
        return inside.with_skipped_outside(*listing.skipped, *others), inner or archive.parts[-1][: -len(ARCHIVE)]

    def _read(self, group: _Group) -> tuple[tuple[tuple[str, bytes], ...], tuple[str, ...]]:
        """Return a submitter's notebooks by name and content, and the notices on the other files."""
        skipped = list(group.skipped)
        own = Allowance(self.bounds.inner_bytes, self.bounds.entries, self.allowance)
        notebooks = self._find_notebooks(group.files, skipped, self.depth, own)
        files = []
        for name, notebook in zip(_file_names(notebooks), notebooks, strict=True):
            try:
                files.append((name, notebook.read()))
            except ArchiveTooLarge:
                raise
            except InputError as error:
                skipped.append(SkippedFile(notebook.parts, str(error)))
        notices = ["it was handed in late"] if group.late else []
        if not files:
            notices.append("there is no notebook in it")
        return tuple(files), (*notices, *_describe(skipped))

    def _find_notebooks(
        self, files: list[ListedFile], skipped: list[SkippedFile], depth: int, own: Allowance
    ) -> list[ListedFile]:
        """Return the notebooks among files, or those in the archives among them if there are none.

        The other files are added to `skipped`.
        """
        notebooks = [file for file in files if file.suffix == NOTEBOOK]
        opens_archives = not notebooks
        for file in files:
            if file.suffix == NOTEBOOK:
                continue
            if file.suffix != ARCHIVE or not opens_archives:
                skipped.append(SkippedFile(file.parts))
                continue
            try:
                inside = self._list_inner(file, depth + 1, own)
            except ArchiveTooLarge:
                raise
            except InputError as error:
                skipped.append(SkippedFile(file.parts, str(error)))
                continue
            skipped += [SkippedFile((*file.parts, *inner.parts), inner.why) for inner in inside.skipped]
            listed = [ListedFile((*file.parts, *inner.parts), inner.read) for inner in inside.files]
            notebooks += self._find_notebooks(listed, skipped, depth + 1, own)
        return notebooks

    def _list_inner(self, file: ListedFile, depth: int, allowance: Allowance) -> Listing:
        if depth > self.bounds.depth:
            raise InputError("it is an archive in an archive in an archive; unpack it once")
        data = file.read()
        if len(data) > DEFAULT_BOUNDS.file_bytes:
            raise InputError(f"it has more than {DEFAULT_BOUNDS.file_bytes >> 20} MB; pack the notebooks alone")
        return list_archive(io.BytesIO(data), allowance, self.bounds)


def _group(listing: Listing, submitters: dict[str, Submitter]) -> tuple[list[_Group], list[SkippedFile]]:
    """Group files by their submitter; return the groups and the files that belong to no submitter."""
    groups: dict[str, _Group] = {}
    unowned: list[SkippedFile] = []
    for submitter in submitters.values():
        group = groups.setdefault(submitter.identity, _Group(submitter, [], []))
        group.late |= submitter.late
    for file in listing.files:
        if (owner := submitters.get(file.parts[0])) is None:
            unowned.append(SkippedFile(file.parts))
        elif len(file.parts) == 1:
            groups[owner.identity].files.append(ListedFile((owner.file or file.parts[0],), file.read))
        else:
            groups[owner.identity].files.append(file.below())
    for skipped in listing.skipped:
        if len(skipped.parts) > 1 and (owner := submitters.get(skipped.parts[0])) is not None:
            groups[owner.identity].skipped.append(skipped.below())
        else:
            unowned.append(skipped)
    return list(groups.values()), unowned


def _make_keys(submitters: list[Submitter]) -> list[str]:
    """Return a key for each submitter that is safe as a file name; duplicates get a number."""
    taken: Counter[str] = Counter()
    keys = []
    for submitter in submitters:
        name, identifiers = submitter.name, submitter.identifiers
        if identifiers and name not in identifiers.values() and "canvas_anonymous" not in identifiers:
            name = f"{name}_{next(iter(identifiers.values()))}"
        keys.append(_number(_to_safe_name(name), "", taken))
    return keys


def _to_safe_name(name: str) -> str:
    safe = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip("._-")
    safe = safe.encode()[:_KEY_BYTES].decode(errors="ignore") or "submission"
    return f"_{safe}" if _RESERVED.fullmatch(safe) else safe


def _file_names(notebooks: list[ListedFile]) -> list[str]:
    """Return a unique name for each notebook: its file name, its whole path if that is not unique, else numbered."""
    counts = Counter(file.parts[-1].casefold() for file in notebooks)
    taken: Counter[str] = Counter()
    names = []
    for file in notebooks:
        name = file.parts[-1] if counts[file.parts[-1].casefold()] == 1 else "/".join(file.parts)
        names.append(_number(name[: len(name) - len(file.suffix)], file.suffix, taken))
    return names


def _number(stem: str, extension: str, taken: Counter[str]) -> str:
    """Return a name that is not taken yet, ignoring case, and take it.

    `taken` keeps the last number of each name, so that many equal names are numbered in linear time.
    """
    name = f"{stem}{extension}"
    while taken[name.casefold()]:
        taken[f"{stem}{extension}".casefold()] += 1
        name = f"{stem}-{taken[f'{stem}{extension}'.casefold()]}{extension}"
    taken[name.casefold()] += 1
    return name


def _describe(skipped: Iterable[SkippedFile]) -> tuple[str, ...]:
    """Return notices on skipped files: one for each that has a reason, and one for the others together."""
    distinct = list(dict.fromkeys(skipped))
    notices = [f"{'/'.join(file.parts)}: {file.why}" for file in distinct if file.why]
    others = ["/".join(file.parts) for file in distinct if not file.why]
    if others:
        more = f" and {len(others) - _SHOWN:,} more" if len(others) > _SHOWN else ""
        notices.append(f"skipped: {', '.join(others[:_SHOWN])}{more}")
    return tuple(notices)


def _path_parts(name: str) -> tuple[str, ...]:
    """Return the parts of a path that was sent as a file name; it is not a path on this machine."""
    parts = unicodedata.normalize("NFC", name).replace("\\", "/").split("/")
    return tuple(part for part in parts if part not in ("", ".", "..")) or (f"notebook{NOTEBOOK}",)
