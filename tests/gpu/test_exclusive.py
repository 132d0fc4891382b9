"""A GPU is held by one process, and free when that ends."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import uuid

import pytest

from grader.errors import InputError
from grader.gpu.device import GPU
from grader.gpu.exclusive import hold_gpu
from tests.support.gpus import make_gpu


@pytest.fixture
def gpu() -> GPU:
    """A GPU of this test alone: tests run side by side on one machine."""
    return dataclasses.replace(make_gpu(), uuid=f"GPU-{uuid.uuid4()}")


def test_a_second_holder_is_told_who_has_it(gpu: GPU) -> None:
    with hold_gpu(gpu):
        for _ in range(3):
            with pytest.raises(InputError, match=f"used by another worker .process {os.getpid()}."), hold_gpu(gpu):
                raise AssertionError
    with hold_gpu(gpu):
        pass


def test_two_gpus_are_held_side_by_side(gpu: GPU) -> None:
    with hold_gpu(gpu), hold_gpu(dataclasses.replace(gpu, uuid=f"{gpu.uuid}-2")):
        pass


def test_it_is_free_once_its_holder_was_killed(gpu: GPU) -> None:
    code = (
        "import sys, time\n"
        "from grader.gpu.device import GPU\n"
        "from grader.gpu.exclusive import hold_gpu\n"
        f"with hold_gpu(GPU({gpu.uuid!r}, '', 0)):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=f"process {holder.pid}"), hold_gpu(gpu):
            raise AssertionError
        holder.kill()
        holder.wait()
        with hold_gpu(gpu):
            pass
