"""A sandbox leaves nothing behind, however it ends, and sees nothing of the process that started it."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import grader
from grader.errors import DeviceFault, SandboxFault
from grader.sandbox.host.execution import Execution, RunOptions
from grader.sandbox.host.notebook import run_notebook
from grader.sandbox.host.sandbox import Zygote, ZygoteLine
from grader.sandbox.jail.layer_log import LAYERS
from grader.sandbox.protocol.limits import Limits
from tests.support.device_files import grant
from tests.support.notebooks import submission
from tests.support.paths import ROOT
from tests.support.sandbox_runs import LIMITS, ran
from tests.support.without_namespaces import UNKEPT_KEY


@pytest.fixture(scope="module")
def bare() -> Iterator[Zygote]:
    """A warm process of our own, without the course's packages: which is quick to start and may be broken."""
    with Zygote(()) as warm:
        assert warm.missing == {}
        yield warm


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _descendants(pid: int) -> list[int]:
    found = _children(pid)
    return found + [below for child in found for below in _descendants(child)]


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _groups() -> set[str]:
    return {str(path) for path in Path("/sys/fs/cgroup").glob(f"**/grader-{os.getpid()}-*")}


def _folders() -> set[str]:
    return {str(path) for path in Path("/tmp").glob(f"grader-{os.getpid()}-*")}


def _waited_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


@pytest.mark.parametrize("raising", [False, True])
def test_nothing_is_left_when_a_sandbox_ends(bare: Zygote, raising: bool) -> None:
    folders = _folders()
    cells = ("import subprocess\nsubprocess.Popen(['sleep', '1000'], start_new_session=True)\ndef f(): return 1",)
    try:
        with ran(bare, *cells) as made:
            assert made.statuses() == ["ok"]
            inside = _descendants(bare._process.pid)
            assert len(inside) >= 3
            if raising:
                raise KeyError("in the body")
    except KeyError:
        assert raising
    assert _waited_for(lambda: not _children(bare._process.pid))
    assert [pid for pid in inside if Path(f"/proc/{pid}").exists()] == []
    assert _groups() == set()
    assert _folders() == folders


@pytest.mark.parametrize("layer", ["pid namespace", "private file system", "mount namespace", "user namespace"])
def test_nothing_is_left_where_a_layer_is_missing(bare: Zygote, layer: str) -> None:
    folders = _folders()
    with bare.sandbox(LIMITS, left_out=frozenset({layer})) as sandbox:
        assert not next(each for each in sandbox.layers if each.name == layer).on
    assert _waited_for(lambda: not _children(bare._process.pid))
    assert _groups() == set()
    assert _folders() == folders


@pytest.mark.parametrize("left_out", [(), ("private file system",)], ids=["forked once", "forked twice"])
def test_the_first_process_killed_from_outside_is_our_fault_and_no_more(
    bare: Zygote, left_out: tuple[str, ...]
) -> None:
    with bare.sandbox(LIMITS, left_out=frozenset(left_out)) as sandbox:
        inside = _descendants(bare._process.pid)
        assert len(inside) == (2 if left_out or os.geteuid() else 1)
        os.kill(inside[-1], signal.SIGKILL)
        assert _waited_for(lambda: not Path(f"/proc/{inside[0]}").exists())
        with pytest.raises(SandboxFault):
            sandbox.clear(())
    assert _groups() == set()
    with ran(bare, "def f(): return 1") as made:
        assert made.call("f") == 1


def test_a_process_that_hangs_in_a_driver_is_a_fault_of_the_device(
    bare: Zygote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a process survives SIGKILL. Here the question whether it has ended is answered with no."""

    def use_a_device() -> None:
        with bare.sandbox(LIMITS, device=grant()) as sandbox:
            close = sandbox.close
            monkeypatch.setattr(sandbox, "close", lambda: close() and False)

    with pytest.raises(DeviceFault, match="cannot be ended: it hangs in the driver"):
        use_a_device()


def test_many_sandboxes_in_a_row_leave_no_descriptor_and_no_zombie(bare: Zygote) -> None:
    def one() -> None:
        with ran(bare, "def f(): return 1") as made:
            assert made.call("f") == 1

    one()
    before = sorted(os.listdir("/proc/self/fd"))
    inside = len(os.listdir(f"/proc/{bare._process.pid}/fd"))
    for _ in range(5):
        one()
    for _ in range(25):
        with bare.sandbox(LIMITS):
            pass
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert len(os.listdir(f"/proc/{bare._process.pid}/fd")) == inside
    assert _waited_for(lambda: not _children(bare._process.pid))
    assert _groups() == set()


def test_two_sandboxes_at_a_time_have_a_user_each(bare: Zygote) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has user ids to give away")
    with bare.sandbox(LIMITS), bare.sandbox(LIMITS):
        users = [Path(f"/proc/{pid}/status").read_text().split("Uid:")[1].split()[0] for pid in _children(bare.pid)]
    assert len(set(users)) == 2
    assert "0" not in users


def test_two_threads_have_a_sandbox_each(bare: Zygote) -> None:
    both = threading.Barrier(2, timeout=30)
    answers: dict[str, tuple[str, tuple[str, ...]]] = {}

    def one(name: str) -> None:
        mine = f"import os\nopen('{name}', 'w').close()\ndef f(): return '{name}', os.listdir()"
        with ran(bare, mine) as made:
            both.wait()
            answers[name] = made.call("f")
            both.wait()

    threads = [threading.Thread(target=one, args=(name,)) for name in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mine, other in (("left", "right"), ("right", "left")):
        name, files = answers[mine]
        assert name == mine
        assert mine in files
        assert other not in files


@pytest.mark.slow
def test_two_threads_may_wait_for_a_warm_process_that_is_just_starting() -> None:
    done: list[object] = []
    with Zygote(()) as warm:
        threads = [
            threading.Thread(target=lambda: done.append(warm.missing), daemon=True),
            threading.Thread(target=lambda: done.append(warm.cpu_seconds()), daemon=True),
            threading.Thread(target=lambda: done.append(warm.missing), daemon=True),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert len(done) == 3


@pytest.mark.slow
def test_several_processes_fork_from_one_and_one_that_hangs_up_harms_nobody() -> None:
    with Zygote(()) as owner, ZygoteLine(owner.open_line()) as first:
        second = ZygoteLine(first.open_line())
        assert first.missing == second.missing == {}
        with first.sandbox(LIMITS) as one, second.sandbox(LIMITS) as other:
            assert len(_children(owner.pid)) == 2
            one.require_alive()
            other.require_alive()
        second.close()
        assert second.ended
        assert not first.ended
        with first.sandbox(LIMITS) as one:
            one.require_alive()
        owner.close()
        assert first.ended
        with pytest.raises(SandboxFault, match="the warm process is gone"), first.sandbox(LIMITS):
            pass


def test_memory_kills_are_counted(zygote: Zygote) -> None:
    with zygote.sandbox(LIMITS) as sandbox:
        assert sandbox.count_memory_kills() == 0


def test_a_package_that_cannot_be_imported_is_listed_with_the_reason() -> None:
    with Zygote(("no_such_package", "math")) as warm:
        assert warm.missing == {"no_such_package": "ModuleNotFoundError: No module named 'no_such_package'"}


@pytest.mark.slow
def test_a_warm_process_that_was_killed_is_a_clear_fault() -> None:
    with Zygote(()) as warm:
        assert warm.missing == {}
        os.kill(warm._process.pid, signal.SIGKILL)
        warm._process.wait()
        for _ in range(2):
            with pytest.raises(SandboxFault, match="the warm process is gone"), warm.sandbox(LIMITS):
                pass
    assert _groups() == set()


def test_a_warm_process_that_never_started_is_a_clear_fault() -> None:
    with Zygote(()) as warm:
        os.kill(warm._process.pid, signal.SIGKILL)
        with pytest.raises(SandboxFault, match="the warm process did not start"):
            _ = warm.missing


@pytest.mark.slow
def test_sandboxes_end_with_the_warm_process() -> None:
    def gone(pid: int) -> bool:
        return not Path(f"/proc/{pid}").exists() or _state(pid) == "Z"

    with Zygote(()) as warm, warm.sandbox(LIMITS) as sandbox:
        inside = _descendants(warm._process.pid)
        os.kill(warm._process.pid, signal.SIGKILL)
        assert _waited_for(lambda: all(gone(pid) for pid in inside))
        with pytest.raises(SandboxFault):
            sandbox.clear(())
    assert _groups() == set()


def test_cpu_time_counts_sandboxes_that_have_ended(bare: Zygote) -> None:
    before = bare.cpu_seconds()
    with ran(bare, "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"):
        pass
    assert _waited_for(lambda: bare.cpu_seconds() - before >= 0.5)


def test_as_root_every_layer_holds(bare: Zygote) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has a user id and control groups to give away")
    with bare.sandbox(LIMITS) as sandbox:
        assert [(layer.name, layer.reason) for layer in sandbox.layers if not layer.on] == []
        assert [layer.name for layer in sandbox.layers] == list(LAYERS)


@pytest.mark.parametrize(("off", "mode"), [((), "2"), (("seccomp",), "0")])
def test_layers_are_told_of_when_the_first_process_is_bound_by_them(
    bare: Zygote, off: tuple[str, ...], mode: str
) -> None:
    with bare.sandbox(LIMITS, left_out=frozenset(off)) as sandbox:
        first = _descendants(bare._process.pid)[-1]
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{first}/status").read_text().splitlines())
        assert fields["Seccomp"].strip() == mode
        held = next(layer for layer in sandbox.layers if layer.name == "seccomp")
        assert held.on is (mode == "2")


def test_a_layer_that_is_left_out_is_reported_as_switched_off(bare: Zygote) -> None:
    for name in LAYERS:
        with bare.sandbox(LIMITS, left_out=frozenset({name})) as sandbox:
            layer = next(each for each in sandbox.layers if each.name == name)
            assert (layer.on, layer.reason) == (False, "switched off")


def test_hidden_folders_are_empty_inside(zygote: Zygote, tmp_path: Path) -> None:
    hidden = Path(sys.prefix, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages", "d2l")
    cell = f"import os\nshape = (1, *[2 for _ in os.listdir({str(hidden)!r})])"
    with closing(Execution()) as execution, zygote.sandbox(LIMITS, hidden=[hidden]) as sandbox:
        notebook = submission(cell).notebooks[0]
        run_notebook(sandbox, notebook, RunOptions(("f",), 1), LIMITS, time.monotonic() + 60, execution)
        assert [note.value for note in execution.notes] == [(1,)]


def _python(script: str, *before: str, **environment: str) -> str:
    """Run a script in a Python process of its own."""
    done = subprocess.run(
        [*before, sys.executable, "-P", "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        cwd="/tmp",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_variables_of_the_caller_are_not_seen_inside() -> None:
    script = """
    from grader.sandbox.host.sandbox import Zygote, ZygoteLine
    from tests.support.sandbox_runs import ran
    cell = '''
    import os, glob
    found = [v for v in os.environ.items() if "swordfish" in str(v)]
    for path in glob.glob("/proc/*/environ"):
        try:
            found += [path] if b"swordfish" in open(path, "rb").read() else []
        except OSError:
            pass
    def f(): return len(found), "HOME" in os.environ
    '''
    with Zygote(()) as warm, ran(warm, cell) as made:
        print(made.call("f"))
    """
    assert _python(script, GRADER_SECRET="swordfish", AWS_SECRET_ACCESS_KEY="swordfish") == "(0, True)\n"


@pytest.mark.slow
def test_an_ordinary_user_has_all_layers_but_those_that_only_root_can_give() -> None:
    script = """
    from dataclasses import replace
    from grader.assignment import find_assignment
    from grader.grading.grade import grade
    from grader.sandbox.host.sandbox import Zygote, ZygoteLine
    from tests.support.notebooks import CORR2D, CORR2D_POINTS, submission
    hw2 = find_assignment("hw2")
    with Zygote(hw2.packages) as warm:
        report = grade(submission(CORR2D, "import os; os._exit(0)", "x = 1"), hw2, warm)
    print([cell.status for cell in report.cells], report.score == CORR2D_POINTS)
    print(sorted(layer.name for layer in report.layers if not layer.on))
    print(all(layer.reason for layer in report.layers if not layer.on))
    """
    as_user = ("setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups") if os.geteuid() == 0 else ()
    if subprocess.run([*as_user, sys.executable, "-c", "import grader"], cwd="/", capture_output=True).returncode:
        pytest.skip(f"an ordinary user cannot reach {sys.executable} and {grader.__file__} here")
    cells, missing, reasons = _python(script, *as_user, HOME="/tmp", **UNKEPT_KEY).splitlines()
    assert cells == "['ok', 'ended the kernel', 'ok'] True"
    assert set(missing.strip("[]").replace("'", "").split(", ")) <= {
        "cpu cgroup",
        "memory cgroup",
        "pids cgroup",
        "devices cgroup",
        "unprivileged user",
    }
    assert reasons == "True"


def test_limits_that_are_not_the_default_reach_the_sandbox(bare: Zygote) -> None:
    cell = (
        "import resource\nlimits = tuple(resource.getrlimit(which)[0] for which in "
        "(resource.RLIMIT_DATA, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE))"
    )
    limits: Limits = dataclasses.replace(LIMITS, memory_bytes=2**30, processes=77, written_bytes=2**25)
    with ran(bare, cell, limits=limits) as made:
        assert [value for _, _, value in made.recorded()] == [(2**30, 77, 2**25, 0)]
