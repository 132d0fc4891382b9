"""Zip files from untrusted sources: read within bounds and in memory, never unpacked to disk."""

from __future__ import annotations

import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import BinaryIO

from grader.collection.listing import ListedFile, Listing, SkippedFile, is_debris, is_work
from grader.errors import InputError
from grader.submission.notebook_json import DEFAULT_BOUNDS

__all__ = ["DEFAULT_ARCHIVE_BOUNDS", "Allowance", "ArchiveBounds", "ArchiveTooLarge", "list_archive"]

_ENCRYPTED = 0x1
_UTF_8 = 0x800
# Other methods unpack a few bytes to hundreds of megabytes in one step, so nothing could stop them in time.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LOCAL_HEADER_BYTES = 30
_DIRECTORY_BYTES_PER_ENTRY = 256
_END = b"PK\x05\x06"  # of the archive; it says where the table of contents is
_RATIO_FROM_BYTES = 2**20
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OverflowError, RuntimeError, OSError)
_DRIVE = re.compile(r"^[A-Za-z]:/")


@dataclass(frozen=True)
class ArchiveBounds:
    """How much a zip file may hold.

    Attributes:
        bytes: unpacked size of all notebooks together, including those of archives inside it.
        inner_bytes: unpacked size of the notebooks in one student's archives inside it.
        entries: files and folders of one archive, and of all archives inside it that belong to one student.
        all_entries: files and folders of all archives together. Each takes a kibibyte of memory, but only ten bytes of
            a packed archive.
        ratio: unpacked to packed size of a file of more than a mebibyte.
        name_length: characters of an entry's whole path.
        depth: levels of archives inside one another; 1 reads no archive inside the first one.
    """

    bytes: int = 2 * 2**30
    inner_bytes: int = 200 * 2**20
    entries: int = 50_000
    all_entries: int = 2_000_000
    ratio: int = 250
    name_length: int = 1000
    depth: int = 3


DEFAULT_ARCHIVE_BOUNDS = ArchiveBounds()


class ArchiveTooLarge(InputError):
    """A whole archive, or the archives of a class together, exceed their bounds."""


@dataclass
class Allowance:
    """How many bytes may still be unpacked and how many entries listed, for one student and in the whole collection."""

    left: int
    entries: int
    whole: Allowance | None = None

    def take(self, count: int) -> None:
        """Use up `count` bytes.

        Raises:
            ArchiveTooLarge: the whole collection has fewer bytes left.
            InputError: this student has fewer bytes left.
        """
        # The student's own bound comes first, so that a refusal takes nothing from the whole collection.
        if count > self.left:
            raise self._refusal("it unpacks to more than is read; unpack it and give the notebooks alone, or in parts")
        if self.whole is not None:
            self.whole.take(count)
        self.left -= count

    def take_entries(self, count: int) -> None:
        """Use up `count` entries.

        Raises:
            ArchiveTooLarge: the whole collection has fewer entries left.
            InputError: this student has fewer entries left.
        """
        if count > self.entries:
            raise self._refusal("its archives list more files than are read; pack the notebooks alone")
        if self.whole is not None:
            self.whole.take_entries(count)
        self.entries -= count

    def _refusal(self, why: str) -> InputError:
        return ArchiveTooLarge(why) if self.whole is None else InputError(why)


def list_archive(file: BinaryIO, allowance: Allowance, bounds: ArchiveBounds) -> Listing:
    """List a zip file. Its files are read later, so it must stay open.

    Args:
        file: the zip file; it must be seekable.
        allowance: how much may still be unpacked.
        bounds: the other bounds.

    Raises:
        InputError: the file is not a zip file, is damaged or encrypted as a whole, or exceeds the bounds.
    """
    try:
        _check_directory(file, bounds)
        archive = zipfile.ZipFile(file)
    except _BROKEN as error:
        raise InputError(f"it cannot be opened as a zip file ({error}); download it again") from error
    entries = archive.infolist()
    if len(entries) > bounds.entries:
        raise _too_many(bounds)
    allowance.take_entries(len(entries))
    if _overlap(entries):
        raise InputError("its files lie over one another, as no packer writes them; pack it again")
    files: list[ListedFile] = []
    folders: set[tuple[str, ...]] = set()
    skipped: list[SkippedFile] = []
    readable = False
    for raw, entry in sorted(((_decode_name(entry, bounds), entry) for entry in entries), key=itemgetter(0)):
        parts = _split(raw)
        if why := _why_not_listed(raw, bounds):
            skipped.append(SkippedFile((raw[: bounds.name_length].replace("/", "_"),), why))
        elif not parts:
            continue
        elif debris := next((at for at, part in enumerate(parts, start=1) if is_debris(part)), 0):
            skipped.append(SkippedFile(parts[:debris]))
        elif raw.endswith("/"):
            folders.add(parts)
        elif why := _why_not_read(entry, parts[-1], bounds):
            files.append(ListedFile.unreadable(parts, why))
        else:
            readable |= is_work(parts[-1])
            files.append(ListedFile(parts, partial(_read, archive, entry, allowance), entry.file_size))
    if not readable and any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise InputError("it is encrypted; unpack it with its password, and give the folder")
    return Listing(tuple(files), frozenset(folders), tuple(dict.fromkeys(skipped)))


def _check_directory(file: BinaryIO, bounds: ArchiveBounds) -> None:
    """Refuse a table of contents that would take gigabytes when parsed. zipfile parses it as a whole."""
    end = file.seek(0, 2)
    start = max(0, end - 2**16 - 22)
    file.seek(start)
    tail = file.read()
    # Search for it as zipfile does: at the very end, or else its last occurrence, before a comment.
    at = len(tail) - 22 if tail[-22:-18] == _END and tail[-2:] == b"\0\0" else tail.rfind(_END)
    size = struct.unpack_from("<L", tail, at + 12)[0] if at >= 0 and at + 22 <= len(tail) else 0
    if at >= 20 and tail[at - 20 : at - 16] == b"PK\x06\x07" and at >= 76:
        size = struct.unpack_from("<Q", tail, at - 76 + 40)[0]
    # The number of entries is a claim of the archive; the size is what zipfile parses.
    if size > bounds.entries * _DIRECTORY_BYTES_PER_ENTRY:
        raise _too_many(bounds)


def _too_many(bounds: ArchiveBounds) -> InputError:
    return InputError(f"it has more than {bounds.entries:,} files; pack the notebooks alone")


def _overlap(entries: list[zipfile.ZipInfo]) -> bool:
    """Return whether files share bytes, by which https://www.bamsoftware.com/hacks/zipbomb/ packs 281 TB into 10 MB."""
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            return True
        end = entry.header_offset + _LOCAL_HEADER_BYTES + entry.compress_size
    return False


def _decode_name(entry: zipfile.ZipInfo, bounds: ArchiveBounds) -> str:
    """Return an entry's name. Korean Windows writes cp949 without a mark, which zipfile takes for cp437."""
    name = entry.orig_filename
    if not entry.flag_bits & _UTF_8:
        raw = name.encode("cp437")
        for encoding in ("utf-8", "cp949"):
            try:
                name = raw.decode(encoding)
                break
            except UnicodeDecodeError:
                continue
    name = name.replace("\\", "/")
    # Normalising takes quadratic time if a name is nothing but accents; a longer name is refused anyway.
    return unicodedata.normalize("NFC", name) if len(name) <= bounds.name_length else name


def _split(name: str) -> tuple[str, ...]:
    return tuple(part for part in name.split("/") if part not in ("", "."))


def _why_not_listed(name: str, bounds: ArchiveBounds) -> str:
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/"):
        return "its path leads out of the archive"
    if "\0" in name:
        return "its name holds a null character"
    return f"its path has more than {bounds.name_length:,} characters" if len(name) > bounds.name_length else ""


def _why_not_read(entry: zipfile.ZipInfo, name: str, bounds: ArchiveBounds) -> str:
    """Return why an entry is not read; "" if there is no reason."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "it is a link, which is not followed; hand in the file itself"
    if entry.flag_bits & _ENCRYPTED:
        return "it is encrypted; hand it in without a password"
    if entry.compress_type not in _METHODS:
        return f"it is packed by method {entry.compress_type}, which is not read; pack it as an ordinary zip"
    if is_work(name) and entry.file_size > DEFAULT_BOUNDS.file_bytes:
        return DEFAULT_BOUNDS.past_file_size(entry.file_size)
    if entry.file_size > max(_RATIO_FROM_BYTES, bounds.ratio * entry.compress_size):
        return f"it unpacks to more than {bounds.ratio} times its size, as a zip bomb does; hand it in unpacked"
    return ""


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, allowance: Allowance) -> bytes:
    allowance.take(entry.file_size)
    try:
        with archive.open(entry) as file:
            data = file.read(entry.file_size + 1)
    except _BROKEN as error:
        raise InputError(f"it cannot be unpacked ({error}); ask for it again") from error
    if len(data) != entry.file_size:
        raise InputError("it is shorter than its archive says; ask for it again")
    return data
