"""The names of queues."""

from __future__ import annotations

import pytest

from grader.errors import InputError
from grader.service.queues import needs_gpu, read_queues


def test_queues_are_cpu_gpu_and_gpu_with_a_word() -> None:
    assert read_queues(["gpu", "gpu-small", "cpu", "gpu"]) == ("gpu", "gpu-small", "cpu")
    assert [needs_gpu(queue) for queue in ("cpu", "gpu", "gpu-small")] == [False, True, True]


@pytest.mark.parametrize("name", ["", "gpus", "gpu-", "cpu-small", "GPU", "gpu-a b", "gpu-small\n"])
def test_another_name_is_no_queue(name: str) -> None:
    with pytest.raises(InputError, match="there is no queue"):
        read_queues([name])
