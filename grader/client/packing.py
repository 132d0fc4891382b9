"""Prepare files for one request: files unchanged, folders as a zip."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from grader.errors import InputError

__all__ = ["compute_content_key", "open_file", "pack"]

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # a fixed date, so that the same folder gives the same bytes
_CHUNK = 1 << 20
_WORK = (".ipynb", ".zip")
_LARGEST = 50 * 2**20  # bytes of another file; larger ones are not used by a server either
_DEBRIS = ("__pycache__", "__macosx", "node_modules", "venv")


def pack(paths: Sequence[Path], scratch: Path, note: Callable[[str], None] = lambda _: None) -> list[tuple[str, Path]]:
    """Return the files to send, each with a name.

    Files are sent as they are. Folders, and files of one name, are sent in a zip that has their paths.

    Args:
        paths: files and folders.
        scratch: an empty folder for the zip.
        note: called with a sentence on each file that is left out.

    Raises:
        InputError: there is no such file, or there is none in the folders.
    """
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: there is no such file; check its name")
    distinct = list(dict.fromkeys(path.absolute() for path in paths))
    names = {path.name for path in distinct}
    if len(names) == len(distinct) and not any(path.is_dir() for path in distinct):
        return [(path.name, path) for path in distinct]
    root = distinct[0] if len(distinct) == 1 else Path(os.path.commonpath([path.parent for path in distinct]))
    return [_zip(distinct, root, scratch, note)]


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


def _zip(paths: Sequence[Path], root: Path, scratch: Path, note: Callable[[str], None]) -> tuple[str, Path]:
    """Zip files and folders under their paths below `root`, with empty folders but without debris and links.

    So a student whose folder is empty is reported instead of being left out.
    """
    target = scratch / "folder.zip"
    count = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted({found for given in paths for found in _walk(given)}):
            name = path.relative_to(root).as_posix()
            if path.is_dir():
                if path != root:
                    archive.writestr(zipfile.ZipInfo(f"{name}/", _ZIP_DATE), b"")
            elif path.suffix.lower() not in _WORK and path.stat().st_size > _LARGEST:
                note(f"{name}: it was not sent, because it has more than {_LARGEST >> 20} MB")
            else:
                count += 1
                _add(archive, path, name)
    if not count:
        raise InputError(f"{root}: there is no file in this folder; give the folder with the submissions")
    return f"{root.resolve().name or 'submissions'}.zip", target


def _walk(given: Path) -> Iterator[Path]:
    """Yield a file, or a folder and what is below it."""
    if not given.is_dir():
        yield given
        return
    for parent, folders, files in os.walk(given):
        yield Path(parent)
        if Path(parent).name == ".git" and Path(parent) != given:  # it marks a clone, but its content is not needed
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if name == ".git" or not _is_debris(name))
        paths = (Path(parent) / name for name in files if not _is_debris(name))
        yield from (path for path in paths if path.is_file() and not path.is_symlink())


def _is_debris(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _DEBRIS


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    entry = zipfile.ZipInfo(name, _ZIP_DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    with open_file(path) as source, archive.open(entry, "w") as target:
        while chunk := source.read(_CHUNK):
            target.write(chunk)
