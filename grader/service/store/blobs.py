"""Blobs: notebooks and reports, addressed by the sha256 of their bytes, in a folder or in an object store."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from fsspec.core import url_to_fs  # type: ignore[import-untyped]
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from grader.cache_folder import write_whole
from grader.errors import InputError, SystemFault

__all__ = ["Blobs"]

_PRIVATE = 0o600  # students' work


class Blobs:
    """Keeps bytes; what was put is never changed, so there is nothing to lock."""

    def __init__(self, url: str) -> None:
        """Open a place for blobs.

        Args:
            url: of fsspec, e.g. `file:///var/lib/grader`, `s3://bucket/prefix`; a relative `file://` is below the
                working directory.

        Raises:
            InputError: the URL is none, or what reads it is not installed.
        """
        try:
            self._files, self._root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise InputError(f"blobs are to be kept at {url}: {error}; give file:///... or s3://...") from error
        self._url = url

    def put(self, data: bytes) -> str:
        """Keep these bytes and return their sha256; they are kept whole or not at all.

        Raises:
            SystemFault: they could not be written.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._path(sha256)
        try:
            if isinstance(self._files, LocalFileSystem):
                _write_for_good(Path(path), data)
            else:
                self._files.pipe_file(path, data)  # an object store shows an object once it is whole
        except Exception as error:  # each of fsspec's file systems has errors of its own
            raise SystemFault(f"a blob could not be written to {self._url}: {error}") from error
        return sha256

    def get(self, sha256: str) -> bytes:
        """Return the bytes that have this sha256.

        Raises:
            SystemFault: they are missing, cannot be read, or are not what was put.
        """
        try:
            data: bytes = self._files.cat_file(self._path(sha256))
        except FileNotFoundError:
            raise SystemFault(f"blob {sha256} is not in {self._url}") from None
        except Exception as error:  # as above
            raise SystemFault(f"blob {sha256} could not be read from {self._url}: {error}") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise SystemFault(f"blob {sha256} in {self._url} is damaged; restore it from a backup")
        return data

    def check(self) -> None:
        """Try whether blobs can be written and read.

        Raises:
            SystemFault: they cannot.
        """
        self.get(self.put(b""))

    def _path(self, sha256: str) -> str:
        # 256 folders: no folder of a file system grows beyond what it lists quickly.
        return f"{self._root.rstrip('/')}/{sha256[:2]}/{sha256}"


def _write_for_good(path: Path, data: bytes) -> None:
    """Write a file that outlives a power cut: its bytes and its name are on the disk when this returns."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(path, data, _PRIVATE)
    for each in (path, path.parent):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
