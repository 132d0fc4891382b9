"""Zip files as packers write them, and as they do not."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Mapping

__all__ = ["NOTEBOOK", "with_flags", "with_zip64_end", "zip_entry", "zipped", "zipped_by_windows"]

NOTEBOOK = b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}'


def zipped(files: Mapping[str, bytes] | list[tuple[str | zipfile.ZipInfo, bytes]], method: int = 8) -> bytes:
    """Return a zip file of these files; a list may name one twice."""
    pairs = list(files.items()) if isinstance(files, Mapping) else files
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, data in pairs:
            archive.writestr(name, data)
    return buffer.getvalue()


def zip_entry(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    """Return an entry's description with this file mode."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


def zipped_by_windows(names: Mapping[str, str], data: bytes = NOTEBOOK) -> bytes:
    """Return a zip file whose names are in the given encodings and are not said to be.

    Args:
        names: each name, and the encoding it is written in.
        data: what every file holds.
    """
    stand_ins = {
        chr(ord("a") + at) * len(name.encode(encoding)): (name, encoding)
        for at, (name, encoding) in enumerate(names.items())
    }
    packed = zipped(dict.fromkeys(stand_ins, data))
    for stand_in, (name, encoding) in stand_ins.items():
        packed = packed.replace(stand_in.encode(), name.encode(encoding))
    return packed


def with_flags(packed: bytes, flags: int) -> bytes:
    """Return the archive with these flags set on every entry."""
    changed = bytearray(packed)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := packed.find(signature, at + 1)) >= 0:
            struct.pack_into("<H", changed, at + offset, struct.unpack_from("<H", packed, at + offset)[0] | flags)
    return bytes(changed)


def with_zip64_end(packed: bytes) -> bytes:
    """Return the archive with its table of contents described in the 64-bit form, and as empty in the other."""
    at = packed.rfind(b"PK\x05\x06")
    count, size, offset = struct.unpack_from("<HLL", packed, at + 10)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
    return packed[:at] + record + locator + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, 0, 0, 0)
