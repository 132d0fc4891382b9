"""Gathers the files of one student: archives are opened, and what lies beside the notebooks comes along."""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from grader.collection.archive import Allowance, ArchiveBounds, ArchiveTooLarge, list_archive
from grader.collection.listing import ListedFile, Listing, SkippedFile
from grader.errors import InputError
from grader.results.notice import Notice
from grader.submission.assembly import DEFAULT_COMPANION_BOUNDS, explain_left_out, make_skipped_notice
from grader.submission.kinds import is_notebook_name, is_zip, looks_like_notebook
from grader.submission.notebook_json import DEFAULT_BOUNDS

__all__ = ["GatheredFiles", "Gatherer", "arrange", "number_name"]

_MOST_BESIDE = 20  # notebooks in an archive beside notebooks; more are a book or a course
_PACKED = "it was not opened; unpack it, and hand in the files, or a zip file of them"
# As Canvas numbers a file that is handed in again, and browsers one that is downloaded again.
_NUMBERED = re.compile(r"(?P<stem>.+?)(?P<number>-\d{1,3}| ?\(\d{1,3}\))(?P<ending>\.\w+)")


@dataclass
class GatheredFiles:
    """The files of one student, and the notices on those that were left out.

    `companions` are those beside the notebooks, still to be read.
    """

    notebooks: list[ListedFile] = field(default_factory=list)
    companions: list[ListedFile] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def skip(self, file: ListedFile, why: str) -> None:
        """Note why a file is left out."""
        self.notices.append(make_skipped_notice(file.path, why))


class Gatherer:
    """Gathers the files of students, one after the other.

    Args:
        bounds: how much archives may hold.
        allowance: how much may still be unpacked of all archives together.
    """

    def __init__(self, bounds: ArchiveBounds, allowance: Allowance) -> None:
        self._bounds = bounds
        self._allowance = allowance
        self._kept: dict[bytes, bytes] = {}  # companions by their digest: a class hands in the same data many times
        self._kept_bytes = 0

    def open_archives(self, files: Iterable[ListedFile], skipped: Iterable[SkippedFile], depth: int) -> GatheredFiles:
        """Sort a student's files into notebooks and others, and open the archives among them.

        Args:
            files: the files.
            skipped: files that were left out before.
            depth: how many archives the files lie in.

        Raises:
            ArchiveTooLarge: the archives of the class are too large together.
        """
        gathered = GatheredFiles()
        own = Allowance(self._bounds.inner_bytes, self._bounds.entries, self._allowance)
        self._sort(list(files), gathered, depth, own)
        gathered.notices += [make_skipped_notice("/".join(file.parts), file.why) for file in skipped if file.why]
        return gathered

    def read_notebooks(self, gathered: GatheredFiles) -> list[tuple[ListedFile, bytes]]:
        """Read the notebooks. Those that cannot be read are named in a notice.

        Raises:
            ArchiveTooLarge: the archives of the class are too large together.
        """
        read = []
        for file in gathered.notebooks:
            try:
                read.append((file, file.read()))
            except ArchiveTooLarge:
                raise
            except InputError as error:
                gathered.skip(file, str(error))
        return read

    def read_companions(self, gathered: GatheredFiles) -> list[tuple[ListedFile, bytes]]:
        """Read what lies beside the notebooks, within bounds: code first, then the smallest files."""
        bounds, left_out = DEFAULT_COMPANION_BOUNDS, []
        read: list[tuple[ListedFile, bytes]] = []
        size = 0
        for file in sorted(
            gathered.companions, key=lambda file: (not file.name.endswith(".py"), file.size, file.parts)
        ):
            if len(read) >= bounds.files or size + file.size > bounds.bytes:
                left_out.append(file.path)
                continue
            try:
                data = self._keep(file.read())
            except InputError as error:
                gathered.skip(file, str(error))
                continue
            size += len(data)
            read.append((file, data))
        gathered.notices += explain_left_out(sorted(left_out))
        return sorted(read, key=lambda item: item[0].parts)

    def _keep(self, data: bytes) -> bytes:
        """Return equal bytes that are in memory already, if there are any.

        Raises:
            InputError: the files of the class are too large together.
        """
        digest = hashlib.sha256(data).digest()
        if digest not in self._kept:
            if self._kept_bytes + len(data) > self._bounds.bytes:
                raise InputError("the files of the class are too large together; grade it in parts")
            self._kept_bytes += len(data)
            self._kept[digest] = data
        return self._kept[digest]

    def _sort(self, files: Sequence[ListedFile], gathered: GatheredFiles, depth: int, own: Allowance) -> None:
        """Add files to those gathered: first the loose ones, then those in archives, which give way to them."""
        archives = []
        for file in files:
            if file.is_archive:
                archives.append(file)
            elif is_notebook_name(file.name):
                self._add_notebook(file, gathered, archives)
            else:
                if file.is_packed:
                    gathered.skip(file, _PACKED)
                gathered.companions.append(file)
        for archive in archives:
            self._open(archive, gathered, depth + 1, own)

    def _add_notebook(self, file: ListedFile, gathered: GatheredFiles, archives: list[ListedFile]) -> None:
        """Add a file that is a notebook by its name; it may be an archive by its content."""
        if file.size > DEFAULT_BOUNDS.file_bytes:
            gathered.skip(file, DEFAULT_BOUNDS.past_file_size(file.size))
            return
        try:
            data = file.read()
        except ArchiveTooLarge:
            raise
        except InputError as error:
            gathered.skip(file, str(error))
            return
        read = replace(file, read=lambda: data)
        (archives if is_zip(data) else gathered.notebooks).append(read)

    def _open(self, file: ListedFile, gathered: GatheredFiles, depth: int, own: Allowance) -> None:
        """Add the files in an archive, in the folder that it lies in."""
        try:
            data = file.read()
            read = replace(file, read=lambda: data)
            if looks_like_notebook(data):
                gathered.notebooks.append(read)
                return
            inside = self.list_archive(read, depth, own)
        except ArchiveTooLarge:
            raise
        except InputError as error:
            gathered.skip(file, str(error))
            return
        inner = GatheredFiles()
        taken = {other.parts for other in (*gathered.notebooks, *gathered.companions)}
        at = _choose_folder(file, inside, taken)
        inner.notices += [
            make_skipped_notice("/".join((*at, *out.parts)), out.why) for out in inside.skipped if out.why
        ]
        self._sort([replace(other, parts=(*at, *other.parts)) for other in inside.files], inner, depth, own)
        if gathered.notebooks and len(inner.notebooks) > _MOST_BESIDE:
            why = f"it holds {len(inner.notebooks)} notebooks, and none was run; hand in your own notebooks alone"
            gathered.skip(file, why)
            return
        gathered.notebooks += inner.notebooks
        gathered.companions += inner.companions
        gathered.notices += inner.notices
        if not any(other.may_hold_work for other in inside.files):
            gathered.companions.append(read)  # the notebook may unpack it itself

    def list_archive(self, file: ListedFile, depth: int, allowance: Allowance) -> Listing:
        """List an archive in a folder or in another archive.

        Args:
            file: the archive.
            depth: how many archives it lies in, itself included.
            allowance: how much may still be unpacked.

        Raises:
            InputError: it cannot be opened, is too large, or lies too deep.
        """
        if depth > self._bounds.depth:
            raise InputError("it is an archive in an archive in an archive; unpack it once")
        data = file.read()
        if len(data) > DEFAULT_BOUNDS.file_bytes:
            raise InputError(f"it has more than {DEFAULT_BOUNDS.file_bytes >> 20} MB; pack the notebooks alone")
        return list_archive(io.BytesIO(data), allowance, self._bounds)


def _choose_folder(archive: ListedFile, inside: Listing, taken: set[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the folder for an archive's files: the one it lies in, or one of its name if that has files like these."""
    beside = archive.parts[:-1]
    clash = any((*beside, *file.parts) in taken for file in inside.files)
    return (*beside, archive.stem) if clash else beside


def arrange(
    notebooks: Sequence[tuple[ListedFile, bytes]], companions: Sequence[tuple[ListedFile, bytes]], *, numbered: bool
) -> list[tuple[str, bytes]]:
    """Return the path and the content of each file: distinct, and without the folders around all of them.

    Args:
        notebooks: the notebooks.
        companions: the files beside them.
        numbered: whether the system numbers files that are handed in again, as Canvas does.
    """
    around = _count_folders_around([file for file, _ in (*notebooks, *companions)])
    taken: Counter[str] = Counter()
    arranged: dict[str, bytes] = {}
    for file, data in notebooks:
        path = "/".join(file.parts[around:])
        stem, dot, ending = path.rpartition(".")
        arranged[number_name(stem if dot else path, f"{dot}{ending}" if dot else "", taken)] = data
    for file, data in companions:
        arranged.setdefault("/".join(file.parts[around:]), data)
    for file, data in companions:
        if original := _remove_number(file.name, numbered):
            arranged.setdefault("/".join((*file.parts[around:-1], original)), data)
    return list(arranged.items())


def number_name(stem: str, extension: str, taken: Counter[str]) -> str:
    """Return a name that is not taken yet, ignoring case, and take it.

    `taken` keeps the last number of each name, so that many equal names are numbered in linear time.
    """
    name = f"{stem}{extension}"
    while taken[name.casefold()]:
        taken[f"{stem}{extension}".casefold()] += 1
        name = f"{stem}-{taken[f'{stem}{extension}'.casefold()]}{extension}"
    taken[name.casefold()] += 1
    return name


def _remove_number(name: str, numbered: bool) -> str:
    """Return the name that a file had before it was numbered, which notebooks use; "" if it has no number."""
    match = _NUMBERED.fullmatch(name)
    if match is None or (match["number"].startswith("-") and not numbered):
        return ""
    return f"{match['stem']}{match['ending']}"


def _count_folders_around(files: Sequence[ListedFile]) -> int:
    """Return how many folders lie around all of the files."""
    count = 0
    while files and all(len(file.parts) > count + 1 for file in files):
        if len({file.parts[count] for file in files}) > 1:
            break
        count += 1
    return count
