"""What grader/sandbox/guest/internals/multiprocessing.py relies on in multiprocessing."""

from __future__ import annotations

import inspect
import multiprocessing.process
import multiprocessing.spawn


def test_children_get_the_original_folder_in_the_place_of_the_working_folder() -> None:
    assert isinstance(multiprocessing.process.ORIGINAL_DIR, str)  # type: ignore[attr-defined]
    source = inspect.getsource(multiprocessing.spawn.get_preparation_data)
    assert "sys_path[i] = process.ORIGINAL_DIR" in source
