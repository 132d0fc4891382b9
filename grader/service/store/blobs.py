"""Blobs: notebooks and reports by the sha256 of their bytes, in a folder or an object store."""

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
    """Stores bytes. Stored blobs never change, so no locks are needed."""

    def __init__(self, url: str) -> None:
        """Open a folder or bucket of blobs.

        Args:
            url: fsspec URL, e.g. `file:///var/lib/grader` or `s3://bucket/prefix`. A relative `file://` path starts at
                the working directory.

        Raises:
            InputError: the URL is not valid, or the package for its scheme is not installed.
        """
        try:
            self._files, self._root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise InputError(f"blobs cannot be stored at {url}: {error}; give file:///... or s3://...") from error
        self._url = url

    def put(self, data: bytes) -> str:
        """Store `data`, completely or not at all, and return its sha256.

        Raises:
            SystemFault: the blob could not be written.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._make_path(sha256)
        try:
            if isinstance(self._files, LocalFileSystem):
                _write_durably(Path(path), data)
            else:
                self._files.pipe_file(path, data)  # an object store shows an object only once it is complete
        except Exception as error:  # each file system of fsspec has its own errors
            raise SystemFault(f"a blob could not be written to {self._url}: {error}") from error
        return sha256

    def get(self, sha256: str) -> bytes:
        """Return the blob with this sha256.

        Raises:
            SystemFault: it is missing, damaged, or cannot be read.
        """
        try:
            data: bytes = self._files.cat_file(self._make_path(sha256))
        except FileNotFoundError:
            raise SystemFault(f"blob {sha256} is not in {self._url}") from None
        except Exception as error:  # as above
            raise SystemFault(f"blob {sha256} could not be read from {self._url}: {error}") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise SystemFault(f"blob {sha256} in {self._url} is damaged; restore it from a backup")
        return data

    def check(self) -> None:
        """Check that blobs can be written and read.

        Raises:
            SystemFault: they cannot.
        """
        self.get(self.put(b""))

    def _make_path(self, sha256: str) -> str:
        # Spread over 256 folders, so that listing one stays fast.
        return f"{self._root.rstrip('/')}/{sha256[:2]}/{sha256}"


def _write_durably(path: Path, data: bytes) -> None:
    """Write a file so that its bytes and its name are on the disk when this returns, even after a power failure."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(path, data, _PRIVATE)
    for written in (path, path.parent):
        descriptor = os.open(written, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
