"""What is kept has a place, and is never seen half-written."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from grader.cache_folder import cache_folder, write_whole


def test_the_place_is_what_the_environment_says(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path / "home")}
    caches = {**home, "XDG_CACHE_HOME": str(tmp_path / "caches")}
    assert cache_folder({**caches, "GRADER_CACHE": str(tmp_path / "own")}) == tmp_path / "own"
    assert cache_folder(caches) == tmp_path / "caches" / "grader"
    assert cache_folder(home) == tmp_path / "home" / ".cache" / "grader"
    assert cache_folder({**home, "GRADER_CACHE": "", "XDG_CACHE_HOME": "relative"}) == cache_folder(home)
    assert all((tmp_path / name).is_dir() for name in ("own", "caches/grader", "home/.cache/grader"))


def test_where_nothing_can_be_written_a_temporary_folder_ends_with_the_process(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code = "import os\nfrom grader.cache_folder import cache_folder\nfolder = cache_folder()\n"
    code += "assert folder == cache_folder() and folder.is_dir() and os.access(folder, os.W_OK)\nprint(folder)"
    for nowhere in (tmp_path / "file" / "cache", Path("/proc/grader-cache")):
        environment = {**os.environ, "GRADER_CACHE": str(nowhere)}
        ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True)
        folder = Path(ran.stdout.strip())
        assert folder.name.startswith("grader-cache-")
        assert not folder.exists()


def test_a_file_is_the_old_or_the_new_one_and_never_between(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([number]) * 100_000 for number in range(20)]
    write_whole(path, contents[0])
    with ThreadPoolExecutor(5) as pool:
        writes = [pool.submit(write_whole, path, content) for content in contents]
        seen = [path.read_bytes() for _ in range(100)]
        for write in writes:
            write.result()
    assert set(seen) <= set(contents)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "file", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").is_dir()


def test_a_file_has_the_mode_that_was_asked_for_whatever_the_umask_is(tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        write_whole(tmp_path / "everybody", b"")
        write_whole(tmp_path / "private", b"", mode=0o600)
    finally:
        os.umask(mask)
    assert (tmp_path / "everybody").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600
