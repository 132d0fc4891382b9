"""Prepare files for one request: a zip or notebooks unchanged, a folder as a zip of its notebooks."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from grader.errors import InputError

__all__ = ["compute_content_key", "open_file", "pack"]

_SENT_SUFFIXES = (".ipynb", ".zip")
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # a fixed date, so that the same folder gives the same bytes
_CHUNK = 1 << 20


def pack(paths: Sequence[Path], scratch: Path) -> list[tuple[str, Path]]:
    """Return the files to send, each with a name.

    Args:
        paths: one folder, one zip, or notebooks.
        scratch: an empty folder for the zip of a folder.

    Raises:
        InputError: the paths are something else.
    """
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: there is no such file; check its name")
    if len(paths) == 1 and paths[0].is_dir():
        return [_zip_folder(paths[0], scratch)]
    if len(paths) == 1 and paths[0].suffix.lower() == ".zip":
        return [(paths[0].name, paths[0])]
    for path in paths:
        if path.is_dir() or path.suffix.lower() != ".ipynb":
            raise InputError(f"{path}: this is not a notebook; give one folder, one zip, or notebooks (.ipynb)")
    name, times = Counter(path.name for path in paths).most_common(1)[0]
    if times > 1:
        raise InputError(f"{times} notebooks are called {name}; give their folder")
    return [(path.name, path) for path in paths]


def compute_content_key(files: Sequence[tuple[str, Path]], fields: Mapping[str, str]) -> str:
    """Return the Idempotency-Key of a request: the same key for the same files and fields.

    Raises:
        InputError: a file cannot be read.
    """
    digest = hashlib.sha256(json.dumps(dict(fields), sort_keys=True).encode())
    for name, path in files:
        with open_file(path) as file:
            digest.update(json.dumps([name, hashlib.file_digest(file, "sha256").hexdigest()]).encode())
    return digest.hexdigest()


@contextmanager
def open_file(path: Path) -> Iterator[BufferedReader]:
    """Open a file for reading.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below; only errors of opening are caught
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its name and permissions") from None
    with file:
        yield file


def _zip_folder(folder: Path, scratch: Path) -> tuple[str, Path]:
    """Zip a folder's notebooks and zips, without its other files but with its empty subfolders.

    So a student whose folder holds no notebook is reported instead of being left out. Links are not followed.
    """
    name = f"{folder.resolve().name or 'submissions'}.zip"
    target = scratch / "folder.zip"
    count = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for parent, folders, files in os.walk(folder):
            folders.sort()
            relative = Path(parent).relative_to(folder)
            if relative.parts:
                archive.writestr(zipfile.ZipInfo(f"{relative.as_posix()}/", _ZIP_DATE), b"")
            if relative.name == ".git":  # it marks a clone, but its content is not needed
                folders.clear()
                continue
            for file in sorted(files):
                path = Path(parent) / file
                if path.suffix.lower() in _SENT_SUFFIXES and path.is_file() and not path.is_symlink():
                    count += 1
                    _add(archive, path, (relative / file).as_posix())
    if not count:
        raise InputError(f"{folder}: there is no notebook in this folder; give the folder with the submissions")
    return name, target


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    entry = zipfile.ZipInfo(name, _ZIP_DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    with open_file(path) as source, archive.open(entry, "w") as target:
        while chunk := source.read(_CHUNK):
            target.write(chunk)
