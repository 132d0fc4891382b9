"""What is handed in, made ready for one request: a zip or notebooks as they are, a folder as a zip of its notebooks."""

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

_SENT = (".ipynb", ".zip")
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first date that zips know; the same folder shall give the same bytes
_CHUNK = 1 << 20


def pack(paths: Sequence[Path], scratch: Path) -> list[tuple[str, Path]]:
    """Return what to send: a name and a file for each.

    Args:
        paths: one folder, one zip, or notebooks.
        scratch: an empty folder, for the zip of a folder.

    Raises:
        InputError: they are something else.
    """
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: there is no such file; check its name")
    if len(paths) == 1 and paths[0].is_dir():
        return [_zipped(paths[0], scratch)]
    if len(paths) == 1 and paths[0].suffix.lower() == ".zip":
        return [(paths[0].name, paths[0])]
    for path in paths:
        if path.is_dir() or path.suffix.lower() != ".ipynb":
            raise InputError(f"{path}: this is no notebook; give one folder, one zip, or notebooks (.ipynb)")
    name, times = Counter(path.name for path in paths).most_common(1)[0]
    if times > 1:
        raise InputError(f"{times} notebooks are called {name}; give the folder that they are in")
    return [(path.name, path) for path in paths]


def compute_content_key(files: Sequence[tuple[str, Path]], fields: Mapping[str, str]) -> str:
    """Return the same key for the same files and fields: the Idempotency-Key of the request that hands them in.

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
        file = open(path, "rb")  # noqa: SIM115 - closed below; errors while it is used are not errors of opening it
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its name and permissions") from None
    with file:
        yield file


def _zipped(folder: Path, scratch: Path) -> tuple[str, Path]:
    """Pack a folder's notebooks and zips; its other files stay, and its folders go along even where they are empty.

    A student whose folder holds no notebook is told so instead of being forgotten. Links are not followed.
    """
    name = f"{folder.resolve().name or 'submissions'}.zip"
    target = scratch / "folder.zip"
    found = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for where, folders, files in os.walk(folder):
            folders.sort()
            inside = Path(where).relative_to(folder)
            if inside.parts:
                archive.writestr(zipfile.ZipInfo(f"{inside.as_posix()}/", _LONG_AGO), b"")
            if inside.name == ".git":  # tells a clone from other folders; nothing in it is wanted
                folders.clear()
                continue
            for file in sorted(files):
                path = Path(where) / file
                if path.suffix.lower() in _SENT and path.is_file() and not path.is_symlink():
                    found += 1
                    _add(archive, path, (inside / file).as_posix())
    if not found:
        raise InputError(f"{folder}: there is no notebook in this folder; give the one that holds the submissions")
    return name, target


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    with open_file(path) as source, archive.open(entry, "w") as target:
        while chunk := source.read(_CHUNK):
            target.write(chunk)
