"""Reading, writing and hoarding files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

import grader
from grader.assignment import RUBRICS
from tests.support.attacks import Attack
from tests.support.hostile_cells import REACHED, raised
from tests.support.notebooks import CORR2D, CORR2D_POINTS

_ROOT = Path(grader.__file__).resolve().parent.parent
_NOTHING = "RuntimeError: LOOT []"


def test_host_files_cannot_be_read(attack: Attack) -> None:
    wanted = ["/etc/shadow", "/etc/sudoers", "/root", "/home", "/var", "/run", "/sys", "/boot", "/proc/kcore"]
    wanted += [str(Path.home()), str(_ROOT / "pyproject.toml"), str(_ROOT / "grader"), str(RUBRICS)]
    cell = f"""
        def look(path):
            return lambda: (path, sorted(os.listdir(path)) if os.path.isdir(path) else open(path, "rb").read(9))
        reached(*map(look, {wanted!r}))
    """
    report = attack(REACHED, cell)
    assert raised(report.cells[1]) == _NOTHING
    assert report.score == 0


def test_no_folder_holds_rubric_or_reference(attack: Attack) -> None:
    cell = """
        import os
        names = {".".join(["rubric", "toml"]), "_".join(["test", "7", "2", "convolution"]) + ".py"}
        found = []
        for folder, folders, files in os.walk("/"):
            if folder == "/":
                folders.remove("proc")
            found += [os.path.join(folder, name) for name in names & set(files)]
            if {"rubrics", "reference"} & set(folders):
                found.append(folder)
        raise RuntimeError(f"LOOT {found}")
    """
    report = attack(cell)
    assert raised(report.cells[0]) == _NOTHING
    assert report.score == 0


def test_memory_holds_no_rubric(attack: Attack) -> None:
    """Modules, every object, every frame, and the text of every page that can be read."""
    cell = """
        import gc, sys
        secrets = [".".join(words) for words in (["corr2d", "values"], ["rubric", "toml"], ["lenet", "params"])]
        secrets += [" ".join(["finds", "the", "vertical", "edges"])]
        found = [name for name in sys.modules if name.split(".")[0] in ("rubrics", "reference", "_rubric")]
        trusted = ("grader.testing", "grader.judging", "grader.grading", "grader.cli")
        found += [name for name in sys.modules if name.startswith(trusted)]
        for thing in gc.get_objects():
            held = list(thing.values()) if type(thing) is dict else list(thing) if type(thing) in (list, tuple) else []
            found += [text for text in held if type(text) is str and text in secrets and thing is not secrets]
        for frame in sys._current_frames().values():
            while frame:
                found += [name for name, value in frame.f_locals.items() if type(value) is str and value in secrets]
                frame = frame.f_back
        raise RuntimeError(f"LOOT {found}")
    """
    report = attack(cell)
    assert raised(report.cells[0]) == _NOTHING
    assert report.score == 0


@pytest.mark.slow
def test_pages_of_memory_hold_no_rubric(attack: Attack) -> None:
    cell = """
        import ctypes, re
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # let /proc/self be looked into
        # Written as classes of one letter, so that the pattern is not what it looks for.
        pattern = re.compile(rb"[l]earned_kernel|[e]dge_detection|[t]est_7_2_|[c]omp_conv2d[.]shape")
        found = []
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            for line in open("/proc/self/maps"):
                span, access, *_ = line.split()
                first, last = (int(end, 16) for end in span.split("-"))
                if "r" not in access or "[v" in line or last - first > 2**27:
                    continue
                try:
                    memory.seek(first)
                    found += {text.decode() for text in pattern.findall(memory.read(last - first))}
                except OSError:
                    pass
        raise RuntimeError(f"LOOT {found}")
    """
    report = attack(cell, cell_seconds=30)
    assert raised(report.cells[0]) == _NOTHING
    assert report.score == 0


def test_other_processes_cannot_be_looked_into(attack: Attack) -> None:
    cell = """
        def look(path):
            return lambda: (path, os.listdir(path) if path.endswith("fd") else
                            os.readlink(path) if path.endswith(("root", "cwd", "exe")) else open(path, "rb").read(20))
        others = {1, os.getppid(), *(int(name) for name in os.listdir("/proc") if name.isdigit())} - {os.getpid()}
        things = ("mem", "environ", "maps", "root", "cwd", "exe", "fd", "auxv", "stack", "syscall")
        reached(*(look(f"/proc/{pid}/{thing}") for pid in others for thing in things))
    """
    report = attack(REACHED, cell)
    assert raised(report.cells[1]) == _NOTHING
    assert report.score == 0


def test_own_environment_names_no_secret(attack: Attack) -> None:
    report = attack(
        """
        import ctypes, os
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # let /proc/self be looked into
        texts = [open(f"/proc/self/{name}", "rb").read().decode() for name in ("environ", "cmdline")]
        texts += [f"{name}={value}" for name, value in os.environ.items()]
        raise RuntimeError(f"LOOT {[text for text in texts if 'rubric' in text or 'reference' in text]}")
        """
    )
    assert raised(report.cells[0]) == _NOTHING


def test_nothing_that_python_or_the_machine_uses_can_be_written(attack: Attack) -> None:
    cell = """
        import sys, torch, numpy
        files = [torch.__file__, numpy.__file__, "/etc/passwd", "/etc/hosts", "/bin/sh", "/dev/sda", "/dev/mem"]
        files += ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/1/oom_score_adj", "/proc/self/uid_map"]
        folders = [sys.prefix, sys.base_prefix, *filter(os.path.isdir, sys.path), "/", "/etc", "/usr", "/dev", "/proc"]
        folders = [folder for folder in folders if not folder.startswith("/home/student")]
        def write(path):
            return lambda: (path, open(path, "ab").close())
        def change(path):
            return lambda: (path, os.chmod(path, 0o777))
        def put(folder):
            return lambda: (folder, open(os.path.join(folder, "sitecustomize.py"), "w").close())
        reached(*map(write, files), *map(change, files), *map(put, folders))
    """
    report = attack(REACHED, cell)
    assert raised(report.cells[1]) == _NOTHING
    assert report.score == 0


def test_files_of_the_submission_before_are_gone(attack: Attack) -> None:
    places = ("/tmp/note", "/dev/shm/note", "/home/student/note", "/home/student/work/note")
    first = attack(f"for place in {places!r}: open(place, 'w').close()")
    second = attack(REACHED, f"reached(*(lambda place=place: os.stat(place) for place in {places!r}))")
    assert first.cells[0].status == "ok"
    assert raised(second.cells[1]) == _NOTHING


def test_another_submission_lying_on_the_host_cannot_be_read(attack: Attack) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        other = Path(folder, "other.ipynb")
        other.write_text("the other's answers")
        other.chmod(0o644)
        report = attack(REACHED, f"reached(lambda: open({str(other)!r}).read())")
    assert raised(report.cells[1]) == _NOTHING


def test_links_pipes_and_devices_in_place_of_outputs_change_nothing(attack: Attack) -> None:
    report = attack(
        """
        import os
        for number, name in enumerate(["homework.ipynb", "report.json", "output", "socket", "connection.json"]):
            os.symlink("/etc/shadow", name) if number % 2 else os.mkfifo(name)
        for name, number in (("memory", 1 << 8 | 1), ("disk", 8 << 8)):
            try:
                os.mknod(name, 0o020666, number)
                made = True
            except OSError:
                made = False
            if made:
                raise RuntimeError(f"LOOT {name}")
        """,
        CORR2D,
    )
    assert [cell.status for cell in report.cells] == ["ok", "ok"]
    assert report.score == CORR2D_POINTS


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm", "/home/student/work"])
def test_a_full_disk_is_bounded_and_keeps_what_was_solved(attack: Attack, folder: str) -> None:
    report = attack(
        CORR2D,
        f"""
        import os
        written = 0
        try:
            for number in range(200):
                with open(f"{folder}/fill-{{number}}", "wb", buffering=0) as file:
                    written += file.write(bytes(2**20))
        except OSError:
            pass
        if written > 64 * 2**20:
            raise RuntimeError(f"LOOT {{written}} bytes")
        """,
        "y = (1, 2)",
    )
    assert [cell.status for cell in report.cells] == ["ok", "ok", "ok"]
    assert report.score == CORR2D_POINTS


def test_inodes_are_bounded(attack: Attack) -> None:
    report = attack(
        CORR2D,
        """
        import os
        try:
            for number in range(150_000):
                os.mknod(f"/tmp/{number}")
        except OSError:
            raise RuntimeError(f"LOOT {number > 110_000}") from None
        """,
        cell_seconds=20,
    )
    assert raised(report.cells[1]) == "RuntimeError: LOOT False"
    assert report.score == CORR2D_POINTS


def test_a_sparse_file_cannot_be_larger_than_what_may_be_written(attack: Attack) -> None:
    cell = """
        def sparse():
            open("sparse", "wb").close()
            os.truncate("sparse", 2**40)
            return "a terabyte"
        reached(sparse)
    """
    assert raised(attack(REACHED, cell).cells[1]) == _NOTHING


@pytest.mark.parametrize(
    "spoil",
    [
        "[os.mkdir(f'/tmp/.kernel-{number}') for number in range(2, 9)]",
        "[os.symlink('/etc', f'/tmp/.kernel-{number}') for number in range(2, 9)]",
        "os.chmod('/tmp', 0)",
        "open('/tmp/fill', 'wb').write(bytes(80 * 2**20))",
    ],
    ids=["folder taken", "link", "no permission", "disk full"],
)
def test_a_kernel_whose_scratch_folder_is_spoilt_is_still_replaced(attack: Attack, spoil: str) -> None:
    report = attack(
        CORR2D,
        f"""
        import os
        try:
            {spoil}
        finally:
            os._exit(0)
        """,
        "y = (1, 2)",
    )
    assert report.score == CORR2D_POINTS
