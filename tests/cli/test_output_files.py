"""Output files: what cannot be written is refused before the work, and no report is lost after it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from grader.cli.output_files import refuse_unwritable, save_reports, write_text
from grader.errors import InputError, SystemFault
from tests.support.command_line import GRADER, Run


def test_what_cannot_be_written_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    reasons = {
        "folder": "it is a folder",
        "no/such/report.json": f"there is no folder {tmp_path}/no/such",
        "file/report.json": f"{tmp_path}/file is not a folder",
        "x" * 300: "File name too long",
    }
    for name, reason in reasons.items():
        with pytest.raises(InputError, match=re.escape(reason)):
            refuse_unwritable(str(tmp_path / name))
    refuse_unwritable(str(tmp_path / "file"), str(tmp_path / "new.json"), "-", "", "/dev/null")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "kept"


def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="you have no permission"):
        refuse_unwritable(str(tmp_path / "report.json"))


def test_a_disk_that_is_full_is_refused_before_the_work(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a disk")
    try:
        (disk / "full").write_bytes(b"x" * 4096)
        with pytest.raises(InputError, match="the disk is full"):
            refuse_unwritable(str(disk / "report.json"))
        assert [path.name for path in disk.iterdir()] == ["full"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_one_file_for_two_reports_is_refused_however_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two reports would go to"):
        refuse_unwritable(str(tmp_path / "a"), str(tmp_path / "." / "b" / ".." / "a"))


def test_a_report_that_cannot_be_written_after_the_work_is_kept_elsewhere() -> None:
    with pytest.raises(SystemFault, match=r"/dev/full: No space left on device; it is in \S+/full instead") as caught:
        write_text("/dev/full", "the report")
    kept = Path(str(caught.value).partition("it is in ")[2].removesuffix(" instead"))
    assert kept.read_text() == "the report"
    kept.unlink()
    kept.parent.rmdir()


def test_one_report_that_fails_does_not_lose_the_others(tmp_path: Path) -> None:
    problems = save_reports([("/dev/full", "one"), (str(tmp_path / "two"), "two")])
    assert len(problems) == 1
    assert (tmp_path / "two").read_text() == "two"


def test_a_reader_that_has_ended_is_no_error(run: Run, tmp_path: Path) -> None:
    for words in (["schema"], ["check", "-h"], ["completion", "bash"]):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([GRADER, *words], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
        os.close(write)
        assert (done.returncode, done.stderr) == (141, ""), words
