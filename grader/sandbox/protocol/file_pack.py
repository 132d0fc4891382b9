"""Files on their way into the sandbox, one after the other in a sealed block of memory that has a descriptor.

A seal keeps every process of the sandbox from changing what the next kernel is given. Paths are relative, have "/"
between their parts, and are checked on both sides.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator, Mapping

__all__ = ["MAX_FILES", "find_folder", "is_plain_path", "pack_files", "unpack_files"]

MAX_FILES = 2_000
_MAX_PATH_BYTES = 1_000
_MAX_PART_BYTES = 255
_MAX_PARTS = 20
_LENGTHS = struct.Struct(">IQ")
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


def is_plain_path(path: str) -> bool:
    """Return whether a path leads to a place inside a folder and has nothing that a file system treats specially."""
    parts = path.split("/")
    encoded = path.encode("utf-8", "replace")
    return (
        len(encoded) <= _MAX_PATH_BYTES
        and len(parts) <= _MAX_PARTS
        and encoded.decode() == path
        and path.isprintable()
        and not any(part in ("", ".", "..") or len(part.encode()) > _MAX_PART_BYTES for part in parts)
    )


def find_folder(path: str) -> str:
    """Return the folder in a path, or "" if it has none or leads elsewhere."""
    return path.rpartition("/")[0] if is_plain_path(path) else ""


def pack_files(files: Mapping[str, bytes]) -> int:
    """Return the descriptor of a block of memory with these files, by path. The caller closes it.

    Raises:
        OSError: there is not enough memory.
        ValueError: there are too many files, or a path leads elsewhere.
    """
    if len(files) > MAX_FILES:
        raise ValueError(f"{len(files):,} files, more than {MAX_FILES:,}")
    for path in files:
        if not is_plain_path(path):
            raise ValueError(f"{path!r:.200} is no path inside a folder")
    descriptor = os.memfd_create("files", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(descriptor, "wb", closefd=False) as block:
            for path, data in files.items():
                encoded = path.encode()
                block.write(_LENGTHS.pack(len(encoded), len(data)))
                block.write(encoded)
                block.write(data)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def unpack_files(descriptor: int) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the content of each file in a block of memory. The descriptor stays open.

    Raises:
        OSError: the descriptor cannot be read.
        ValueError: the block is not from `pack_files`, or a path leads elsewhere.
    """
    size, position = os.fstat(descriptor).st_size, 0
    for _ in range(MAX_FILES + 1):
        if position == size:
            return
        header = os.pread(descriptor, _LENGTHS.size, position)
        if len(header) < _LENGTHS.size:
            break
        path_bytes, data_bytes = _LENGTHS.unpack(header)
        position += _LENGTHS.size
        if path_bytes > _MAX_PATH_BYTES or position + path_bytes + data_bytes > size:
            break
        path = os.pread(descriptor, path_bytes, position).decode()
        data = os.pread(descriptor, data_bytes, position + path_bytes)
        position += path_bytes + data_bytes
        if not is_plain_path(path) or len(data) != data_bytes:
            break
        yield path, data
    raise ValueError("this is no block of files")
