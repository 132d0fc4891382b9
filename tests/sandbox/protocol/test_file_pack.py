"""Files reach the sandbox whole, under plain paths only, and nothing can change them on the way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from grader.sandbox.protocol.file_pack import MAX_FILES, find_folder, is_plain_path, pack_files, unpack_files

FILES = {"my_layers.py": b"x = 1\n", "data/a b.csv": b"", "그림.png": bytes(range(256)) * 1000}
ELSEWHERE = [
    "", ".", "..", "../x", "a/../x", "/etc/passwd", "a//b", "a/", "./a", "a\0b", "a\nb", "\ud800", "a" * 256,
    "/".join("a" * 21), "a/" + "b" * 1_000,
]  # fmt: skip


@contextmanager
def packed(files: dict[str, bytes]) -> Iterator[int]:
    descriptor = pack_files(files)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_files_arrive_as_they_are_each_time() -> None:
    with packed(FILES) as descriptor:
        assert dict(unpack_files(descriptor)) == dict(unpack_files(descriptor)) == FILES


def test_no_file_is_no_file() -> None:
    with packed({}) as descriptor:
        assert list(unpack_files(descriptor)) == []


@pytest.mark.parametrize("path", ELSEWHERE)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    assert not is_plain_path(path)
    with pytest.raises(ValueError, match="is no path inside a folder"):
        pack_files({path: b""})


def test_a_folder_is_found_in_a_plain_path_only() -> None:
    assert [find_folder(path) for path in ("a.ipynb", "b/c/a.ipynb", "../a.ipynb")] == ["", "b/c", ""]


def test_too_many_files_are_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        pack_files({str(number): b"" for number in range(MAX_FILES + 1)})


def test_nothing_can_change_what_is_packed() -> None:
    with packed(FILES) as descriptor:
        with pytest.raises(PermissionError):
            os.pwrite(descriptor, b"x", 20)
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, 0)


@pytest.mark.parametrize(
    "block",
    [
        b"\0", b"\0\0\0\1\0\0\0\0\0\0\0\7a1234", b"\xff" * 12, b"\0\0\0\2" + bytes(8) + b"..",
        b"\0\0\0\1" + b"\xff" * 8 + b"a", b"\0\0\0\1" + bytes(8) + b"\xff", (b"\0\0\0\1" + bytes(8) + b"a") * 2_002,
    ],
)  # fmt: skip
def test_a_block_of_another_form_is_refused(block: bytes) -> None:
    descriptor = os.memfd_create("forged")
    try:
        os.write(descriptor, block)
        with pytest.raises(ValueError):  # noqa: PT011 (an UnicodeDecodeError is one as well)
            list(unpack_files(descriptor))
    finally:
        os.close(descriptor)
