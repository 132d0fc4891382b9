"""One worker for each GPU."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from grader.errors import InputError
from grader.gpu.device import GPU

__all__ = ["hold_gpu"]

_MOST_WAITING = 128
_CREDENTIALS = struct.Struct("3i")  # SO_PEERCRED: process, user, group


@contextmanager
def hold_gpu(gpu: GPU) -> Iterator[None]:
    """Hold a GPU for this process and the processes that it forks.

    The kernel frees it when the last of them ends, however it ends. Another holder is only noticed in the same network
    namespace: of two containers each holds its own.

    Args:
        gpu: the GPU or slice.

    Raises:
        InputError: another process holds it.
    """
    name = f"\0notebook-grader/gpu/{gpu.uuid}"  # abstract: no file, nothing to clear up
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as held:
        try:
            held.bind(name)
        except OSError as error:
            raise InputError(
                f"GPU {gpu.index} ({gpu.uuid}) is used by another worker{_name_holder(name)}: a GPU is for one at a "
                "time; stop that one, or name another GPU"
            ) from error
        held.listen(_MOST_WAITING)  # so that others can ask who holds it
        yield


def _name_holder(name: str) -> str:
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as question:
        question.setblocking(False)
        question.connect(name)
        pid = _CREDENTIALS.unpack(question.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[0]
        return f" (process {pid})"
    return ""
