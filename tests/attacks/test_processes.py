"""Other processes: looking into them, ending them, making too many of them, and leaving some behind."""

from __future__ import annotations

import platform

import pytest

from tests.support.attacks import Attack
from tests.support.hostile_cells import LINE, REACHED, TRACKER, raised
from tests.support.notebooks import CORR2D, CORR2D_POINTS

_NOTHING = "RuntimeError: LOOT []"
x86_only = pytest.mark.skipif(platform.machine() != "x86_64", reason="system calls by their numbers on x86-64")


@x86_only
def test_dangerous_system_calls_are_refused(attack: Attack) -> None:
    cell = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = ctypes.create_string_buffer(4096)
        here = ctypes.addressof(buffer)
        namespaces = [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000]
        calls = {
            "ptrace": [(101, 0, 0, 0, 0), (101, 16, os.getppid(), 0, 0), (101, 0x4206, 1, 0, 0)],
            "process_vm_readv": [(310, os.getppid(), here, 1, here, 1, 0)],
            "process_vm_writev": [(311, os.getppid(), here, 1, here, 1, 0)],
            "unshare": [(272, flag) for flag in namespaces],
            "setns": [(308, 0, 0)],
            "clone": [(56, flag | 17, 0, 0, 0, 0) for flag in namespaces],
            "clone3": [(435, here, 88)],
            "mount": [(165, b"none", b"/tmp", b"tmpfs", 0, 0), (165, b"/", b"/tmp", 0, 4096, 0)],
            "umount2": [(166, b"/proc", 2)],
            "pivot_root": [(155, b"/", b"/tmp")],
            "chroot": [(161, b"/tmp")],
            "new mounts": [(428, -100, b"/", 1), (429, -1, b"", -100, b"/tmp", 4), (430, b"tmpfs", 0),
                           (442, 3, b"", 4096, here, 32)],
            "bpf": [(321, 0, here, 128)],
            "keyctl": [(250, 0, -3, 0), (248, b"user", b"x", b"y", 1, -3), (249, b"user", b"x", 0, -3)],
            "io_uring_setup": [(425, 4, here)],
            "perf_event_open": [(298, here, 0, -1, -1, 0)],
            "userfaultfd": [(323, 0)],
            "init_module": [(175, here, 8, b""), (313, 0, b"", 0)],
            "kexec_load": [(246, 0, 0, 0, 0)],
            "open_by_handle_at": [(304, -100, here, 0)],
            "name_to_handle_at": [(303, -100, b"/", here, here, 0)],
            "pidfd_getfd": [(438, 0, 0, 0)],
            "kcmp": [(312, 1, os.getpid(), 0, 0, 0)],
            "swapon": [(167, b"/tmp/x", 0)],
            "reboot": [(169, 0xFEE1DEAD, 672274793, 0, 0)],
            "sethostname": [(170, b"x", 1)],
            "settimeofday": [(164, here, 0)],
            "quotactl": [(179, 0, b"", 0, here)],
            "iopl": [(172, 3)],
            "fanotify_init": [(300, 0, 0)],
            "personality": [(135, 0x0400000)],
            "capset": [(126, here, here)],
            "acct": [(163, b"/tmp/x")],
            "syslog": [(103, 3, here, 100)],
        }
        got = []
        for name, attempts in calls.items():
            for number, *arguments in attempts:
                given = (each if type(each) is bytes else ctypes.c_long(each) for each in arguments)
                result = libc.syscall(ctypes.c_long(number), *given)
                if name == "clone" and result == 0:
                    os._exit(0)
                if result >= 0 or ctypes.get_errno() not in (1, 38):
                    got.append((name, arguments, result, ctypes.get_errno()))
        raise RuntimeError(f"LOOT {got}")
    """
    report = attack(REACHED, cell)
    assert raised(report.cells[1]) == _NOTHING
    assert report.score == 0


@x86_only
@pytest.mark.parametrize(
    "code",
    ["b8 14 00 00 00 cd 80 c3", "b8 27 00 00 40 0f 05 c3"],
    ids=["int 0x80, which a filter for x86-64 alone would not see", "the x32 numbers"],
)
def test_machine_code_cannot_go_around_the_filter(attack: Attack, code: str) -> None:
    report = attack(
        CORR2D,
        f"""
        import ctypes, mmap
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(bytes.fromhex("{code}"))
        call = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
        result = call()
        if result != -1:
            raise RuntimeError(f"LOOT {{result}}")
        """,
        "y = (1, 2)",
    )
    assert "LOOT" not in report.cells[1].message
    assert report.score == CORR2D_POINTS


def test_no_process_above_the_kernel_can_be_signalled(attack: Attack) -> None:
    cell = """
        import signal
        others = {int(name) for name in os.listdir("/proc") if name.isdigit()} | {1, os.getppid()}
        def send(pid, sign):
            return lambda: (pid, sign, os.kill(pid, sign))
        reached(*(send(pid, sign) for sign in (0, signal.SIGSTOP, signal.SIGKILL) for pid in others - {os.getpid()}))
    """
    report = attack(REACHED, cell)
    assert raised(report.cells[1]) == _NOTHING
    assert report.score == 0


@pytest.mark.parametrize("sign", ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_to_everybody_costs_others_nothing(attack: Attack, sign: str) -> None:
    report = attack(CORR2D, f"import os, signal\nos.kill(-1, signal.{sign})", "y = (1, 2)")
    assert report.score == CORR2D_POINTS
    assert report.cells[2].status == "ok"


def test_a_cell_that_kills_all_it_can_reach_finds_nothing(attack: Attack) -> None:
    """Where there are snapshots it is blamed for them: tests/sandbox/host/test_execution.py."""
    killing = "import os, signal\nos.kill(-1, signal.SIGKILL)"
    report = attack("x = 1", CORR2D.replace("corr2d", "pool2d"), killing, CORR2D, "y = (1, 2)")
    assert [cell.status for cell in report.cells] == ["ok"] * 5
    assert report.score == CORR2D_POINTS


def test_a_sweep_over_all_process_numbers_reaches_only_its_own(attack: Attack) -> None:
    report = attack(
        CORR2D,
        """
        import os, signal
        for pid in range(1, 40_000):
            if pid != os.getpid():
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
        """,
        "y = (1, 2)",
    )
    assert report.score == CORR2D_POINTS
    assert report.cells[2].status == "ok"


@pytest.mark.parametrize(
    "call",
    [
        "os.killpg(0, signal.SIGKILL)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os._exit(0)",
        "os.abort()",
        "ctypes.string_at(0)",
        "os.closerange(0, 65536)",
        "[os.close(fd) for fd in range(3, 40) if os.path.exists(f'/proc/self/fd/{fd}')]",
    ],
)
def test_a_kernel_that_ends_itself_keeps_what_was_solved_around_it(attack: Attack, call: str) -> None:
    report = attack("import os, signal, ctypes", CORR2D, call, "y = (1, 2)")
    assert report.score == CORR2D_POINTS
    assert report.cells[2].status in ("ended the kernel", "timed out", "broke the run")
    assert report.cells[3].status == "ok"


def test_leaving_early_is_no_pass(attack: Attack) -> None:
    for call in ("import os; os._exit(0)", "raise SystemExit(0)", "exit()", "import sys; sys.exit(0)"):
        report = attack(call)
        assert report.score == 0
        assert not report.passed


@pytest.mark.slow
def test_a_fork_bomb_is_bounded(attack: Attack) -> None:
    report = attack(
        CORR2D,
        """
        import os
        while True:
            try:
                os.fork()
            except OSError:
                pass
        """,
        "y = (1, 2)",
    )
    assert report.cells[1].status in ("timed out", "broke the run")
    assert report.score == CORR2D_POINTS
    assert report.cells[2].status == "ok"


def test_a_thread_bomb_is_bounded(attack: Attack) -> None:
    report = attack(
        CORR2D,
        """
        import threading, time
        count = 0
        try:
            while count < 10_000:
                threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
                count += 1
        except RuntimeError:
            pass
        raise RuntimeError(f"LOOT {count > 64}")
        """,
        cell_seconds=15,  # a busy machine starts threads slowly
    )
    assert raised(report.cells[1]) == "RuntimeError: LOOT False"
    assert report.score == CORR2D_POINTS


def test_daemons_end_with_the_submission(attack: Attack) -> None:
    """The ritual looks for what is left."""
    report = attack(
        """
        import os, signal, time
        for _ in range(5):
            if os.fork() == 0:
                os.setsid()
                if os.fork():
                    os._exit(0)
                for sign in range(1, 65):
                    if sign not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
                        signal.signal(sign, signal.SIG_IGN)
                while True:
                    time.sleep(3600)
        """,
        CORR2D,
    )
    assert report.score == CORR2D_POINTS


@pytest.mark.slow
def test_a_claimed_snapshot_does_not_keep_a_bomb_alive(attack: Attack) -> None:
    """A bomb that says it is a snapshot is kept through clearing; the next kernel must start all the same."""
    report = attack(
        TRACKER
        + LINE
        + """
import threading, time
ready, told = os.pipe()
pid = os.fork()
if pid == 0:
    while True:
        try:
            threading.Thread(target=time.sleep, args=(3600,)).start()
        except RuntimeError:
            os.write(told, b"x")
            time.sleep(3600)
claim([ours.fileno()], pid=pid)
os.read(ready, 1)
os._exit(0)
""",
        "y = (1, 2)",
    )
    assert report.score == 0
