"""Collects the submissions of a class from a folder, a zip file or notebooks."""

from __future__ import annotations

import io
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
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
from grader.collection.folder import describe_unreadable, list_folder, read_file
from grader.collection.gathering import Gatherer, arrange, number_name
from grader.collection.layouts import CollectionLayout, Submitter, detect_layout, find_submitters, unwrap
from grader.collection.listing import ListedFile, Listing, SkippedFile
from grader.errors import InputError
from grader.results.notice import Notice
from grader.submission.kinds import ARCHIVE

__all__ = ["collect", "collect_archive", "collect_files"]

_KEY_BYTES = 120  # of a name in UTF-8; file systems take 255, and a number and an extension follow
_UNSAFE = re.compile(r"[^\w.\-]+")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)  # on Windows
_SHOWN = 5


def collect(path: Path, bounds: ArchiveBounds = DEFAULT_ARCHIVE_BOUNDS) -> Collection:
    """Collect the submissions of a class from a folder, a zip file, or a single file that was handed in.

    Raises:
        InputError: the path is none of them, cannot be read, exceeds the bounds, or holds no notebook.
    """
    collecting = _Collecting(bounds)
    real = path.resolve()
    if real.is_dir():
        return collecting.collect(str(path), list_folder(real), path.name or real.name)
    try:
        with open(real, "rb") as file:
            if not path.name.casefold().endswith(ARCHIVE) and not zipfile.is_zipfile(file):
                return _collect_single(path, read_file(real))
            return collecting.collect_archive(str(path), file, path.stem)
    except OSError as error:
        raise InputError(describe_unreadable(path, error)) from None


def collect_archive(name: str, data: bytes, bounds: ArchiveBounds = DEFAULT_ARCHIVE_BOUNDS) -> Collection:
    """Collect the submissions of a class from the bytes of a zip file; messages call it `name`.

    Raises:
        InputError: it is not a zip file, is damaged or encrypted as a whole, exceeds the bounds, or holds no notebook.
    """
    collecting = _Collecting(bounds)
    return collecting.collect_archive(name, io.BytesIO(data), Path(name).stem)


def collect_files(files: Iterable[tuple[str, bytes]], bounds: ArchiveBounds = DEFAULT_ARCHIVE_BOUNDS) -> Collection:
    """Collect the submissions of a class from files, given by name and content. They may be named as by an LMS.

    Raises:
        InputError: there is no submission among them.
    """
    listed = [make_listed_file(name, data) for name, data in files]
    # Two files of one name belong to two students, whom their folders may tell apart.
    named = [
        replace(file, parts=tuple(name.split("/"))) for name, file in zip(_file_names(listed), listed, strict=True)
    ]
    return _Collecting(bounds).collect("the files", Listing(tuple(sorted(named, key=lambda file: file.parts))), "")


def _collect_single(path: Path, data: bytes) -> Collection:
    try:
        return collect_files([(path.name, data)])
    except InputError:
        raise InputError(f"{path}: this is no folder, zip file or notebook; give one of them") from None


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
        self.gatherer = Gatherer(bounds, self.allowance)
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
            contents = self._read(groups, layout)
        except InputError as error:
            raise InputError(f"{source}: {error}") from error
        if not groups:
            raise InputError(f"{source}: there is no notebook in it; give a folder or zip file of .ipynb files")
        keys = _make_keys([group.submitter for group in groups])
        submissions = [
            CollectedSubmission(key, group.submitter.name, dict(group.submitter.identifiers), files, notices)
            for key, group, (files, notices) in zip(keys, groups, contents, strict=True)
        ]
        return Collection(layout, tuple(sorted(submissions, key=lambda item: item.key)), _describe(unowned))

    def _read(
        self, groups: list[_Group], layout: CollectionLayout
    ) -> list[tuple[tuple[tuple[str, bytes], ...], tuple[Notice, ...]]]:
        """Return each submitter's files by path and content, and the notices on those that were left out."""
        numbered = layout is CollectionLayout.CANVAS
        opened = [self.gatherer.open_archives(group.files, group.skipped, self.depth) for group in groups]
        # Notebooks come first, so that no data set uses up what the notebooks of other students need.
        notebooks = [self.gatherer.read_notebooks(gathered) for gathered in opened]
        contents = []
        for group, gathered, own in zip(groups, opened, notebooks, strict=True):
            files = arrange(own, self.gatherer.read_companions(gathered), numbered=numbered)
            late = [Notice("it was handed in late")] if group.late else []
            contents.append((tuple(files), (*late, *gathered.notices)))
        return contents

    def _open_inner_archive(self, listing: Listing, wrapper: str) -> tuple[Listing, str]:
        """Return the contents and the name of the only archive with work in it, unless it is one student's."""
        work = listing.work
        if len(work) != 1 or not work[0].is_archive or detect_layout(listing) is not CollectionLayout.FILES:
            return listing, wrapper
        (archive,) = work
        try:
            inside, inner = unwrap(self.gatherer.list_archive(archive, self.depth + 1, self.allowance))
        except ArchiveTooLarge:
            raise
        except InputError:
            return listing, wrapper  # the student's report says what is wrong with it
        if detect_layout(inside) is CollectionLayout.FILES and len(inside.work) < 2:
            return listing, wrapper
        self.depth += 1
        others = [SkippedFile(file.parts) for file in listing.files if file is not archive]
        return inside.with_skipped_outside(*listing.skipped, *others), inner or archive.stem


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
            groups[owner.identity].files.append(replace(file, parts=(owner.file or file.name,)))
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
        keys.append(number_name(_to_safe_name(name), "", taken))
    return keys


def _to_safe_name(name: str) -> str:
    safe = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip("._-")
    safe = safe.encode()[:_KEY_BYTES].decode(errors="ignore") or "submission"
    return f"_{safe}" if _RESERVED.fullmatch(safe) else safe


def _file_names(files: list[ListedFile]) -> list[str]:
    """Return a unique name for each file: its file name, its whole path if that is not unique, else numbered."""
    counts = Counter(file.name.casefold() for file in files)
    taken: Counter[str] = Counter()
    names = []
    for file in files:
        name = file.name if counts[file.name.casefold()] == 1 else file.path
        stem, dot, ending = name.rpartition(".")
        names.append(number_name(stem if dot else name, f"{dot}{ending}" if dot else "", taken))
    return names


def _describe(skipped: Iterable[SkippedFile]) -> tuple[str, ...]:
    """Return notices on skipped files: one for each that has a reason, and one for the others together."""
    distinct = list(dict.fromkeys(skipped))
    notices = [f"{'/'.join(file.parts)}: {file.why}" for file in distinct if file.why]
    others = ["/".join(file.parts) for file in distinct if not file.why]
    if others:
        more = f" and {len(others) - _SHOWN:,} more" if len(others) > _SHOWN else ""
        notices.append(f"skipped: {', '.join(others[:_SHOWN])}{more}")
    return tuple(notices)


def make_listed_file(name: str, data: bytes) -> ListedFile:
    """Return a file that was sent under this name."""
    return ListedFile(_path_parts(name), partial(bytes, data), len(data))


def _path_parts(name: str) -> tuple[str, ...]:
    """Return the parts of a path that was sent as a file name; it is not a path on this machine."""
    parts = unicodedata.normalize("NFC", name).replace("\\", "/").split("/")
    return tuple(part for part in parts if part not in ("", ".", "..")) or ("notebook.ipynb",)
