"""What reaches the standard descriptors without Python's streams: output of children, of C code, of `os.write`.

ipykernel reads a pipe in a thread. A thread in the kernel would make every fork of it dearer and, for torch, unsafe; so
the descriptors lead to files in memory, which are never full before a flood reaches the sandbox's limit for files. The
kernel looks at their size whenever something is printed and at the end of each cell, so that the order of both is kept.
"""

from __future__ import annotations

import codecs
import fcntl
import os
from contextlib import suppress

__all__ = ["DescriptorOutput"]

_KEPT_BYTES = 2**20  # of a file that was read; a larger one is emptied


class DescriptorOutput:
    """The text that is written to one descriptor of this process and its children.

    Args:
        descriptor: the number, which leads to a file in memory from now on.
        most: the most bytes that one call of `read` returns; what else was written until then is only counted.

    Raises:
        OSError: there is no memory for the file.
    """

    def __init__(self, descriptor: int, most: int) -> None:
        # A second descriptor of its own: a cell may put something else in the place of the standard one.
        self._file = os.memfd_create(f"descriptor-{descriptor}")
        fcntl.fcntl(self._file, fcntl.F_SETFL, os.O_APPEND)
        os.dup2(self._file, descriptor)
        self._most = most
        self._end = 0  # of what was read
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def read(self) -> str:
        """Return what was written since the last call."""
        try:
            size = os.lseek(self._file, 0, os.SEEK_END)
        except OSError:  # a cell closed it
            return ""
        if size == self._end:
            return ""
        # A shell's `> /dev/stdout` empties the file.
        start = self._end if size > self._end else 0
        self._end = size
        with suppress(OSError):
            data = os.pread(self._file, min(size - start, self._most), start)
            if size > _KEPT_BYTES:
                os.ftruncate(self._file, 0)
                self._end = 0
            left = size - start - len(data)
            return self._decode(data) + (f"\n[{left:,} more bytes were written]\n" if left else "")
        return ""
