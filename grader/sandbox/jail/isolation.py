"""The layers that lock a forked process in, applied from the inside and each reported as held or not.

The order matters: trees of files are cloned while they can still be reached, the user is given up before the user
namespace is made, and everything that needs capabilities comes before they are dropped. One flow serves root and an
ordinary user; only what root can do more (a user id of its own, control groups) is added.
"""

from __future__ import annotations

import os
import resource
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from grader.sandbox.jail import linux
from grader.sandbox.jail.seccomp import SystemCallFilter
from grader.sandbox.protocol.layers import LayerStatus
from grader.sandbox.protocol.limits import Limits

__all__ = ["LAYERS", "Confinement", "FileView", "LayerLog"]

_HOME = Path("/home/student/work")
_WRITABLE = (Path("/tmp"), Path("/home/student"), Path("/dev/shm"))
LAYERS = (
    "memory cgroup",
    "pids cgroup",
    "unprivileged user",
    "user namespace",
    "mount namespace",
    "pid namespace",
    "net namespace",
    "ipc namespace",
    "uts namespace",
    "private file system",
    "capabilities",
    "no new privileges",
    "resource limits",
    "landlock",
    "seccomp",
)
# Above every range that systemd's documentation hands out; the pid makes it this sandbox's own.
_FIRST_USER_ID = 1_879_048_192
_NAMESPACES = {
    "user namespace": linux.CLONE_NEWUSER,
    "mount namespace": linux.CLONE_NEWNS,
    "pid namespace": linux.CLONE_NEWPID,
    "net namespace": linux.CLONE_NEWNET,
    "ipc namespace": linux.CLONE_NEWIPC | linux.CLONE_NEWCGROUP,
    "uts namespace": linux.CLONE_NEWUTS,
}


class LayerLog:
    """Which layers hold, in the order in which they were tried."""

    def __init__(self, left_out: frozenset[str] = frozenset()) -> None:
        self._left_out = left_out
        self._status: dict[str, LayerStatus] = {}
        self._remarks: dict[str, str] = {}

    @contextmanager
    def layer(self, name: str) -> Iterator[bool]:
        """Note whether the body succeeds; it is told False where the layer is left out and must then do nothing."""
        wanted = name not in self._left_out
        try:
            yield wanted
        except (OSError, RuntimeError, ImportError) as error:
            self.note(name, str(error))
        else:
            self.note(name, "" if wanted else "switched off")

    def note(self, name: str, reason: str) -> None:
        """Note a layer as held (no reason) or not."""
        self._status[name] = LayerStatus(name, not reason, reason or self._remarks.get(name, ""))

    def remark(self, name: str, text: str) -> None:
        """Say something about a layer that holds."""
        self._remarks[name] = text

    def wanted(self, name: str) -> bool:
        """Tell whether a layer is to be applied."""
        return name not in self._left_out

    def holds(self, name: str) -> bool:
        """Tell whether a layer was applied."""
        return name in self._status and self._status[name].on

    def status(self) -> tuple[LayerStatus, ...]:
        """Return every layer, those never reached as not held."""
        return tuple(self._status.get(name, LayerStatus(name, False, "not reached")) for name in LAYERS)


@dataclass(frozen=True)
class FileView:
    """What of the host's files can be read in the sandbox, what is covered there, and what lies elsewhere there.

    `shown` names for each folder of the sandbox that of the host which is bound there, read-only.
    """

    hidden: tuple[Path, ...]
    shown: Mapping[Path, Path] = field(default_factory=dict)
    readable: tuple[Path, ...] = field(default_factory=lambda: _READABLE)

    @staticmethod
    def devices() -> list[Path]:
        """Return the device files of the sandbox."""
        return [Path("/dev") / name for name in ("null", "zero", "full", "random", "urandom")]


def _readable_paths() -> tuple[Path, ...]:
    system = [Path("/") / name for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64")]
    settings = ("alternatives", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "ssl")
    python = [way for prefix in (sys.prefix, sys.base_prefix) for way in (Path(prefix), Path(prefix).resolve())]
    wanted = [*system, *(Path("/etc") / name for name in settings), *python]
    kept: list[Path] = []
    for path in wanted:
        inside = any(path != other and path.is_relative_to(other) for other in wanted)
        if path not in kept and path.exists() and not inside:
            kept.append(path)
    return tuple(kept)


# Found once, in the warm process: looking at the paths takes 2 ms in a fork.
_READABLE: tuple[Path, ...] = _readable_paths()


class Confinement:
    """One process's way into the sandbox: `leave_host`, a fork, `settle_as_first_process`, `confine`.

    Its forks inherit all of that; each calls `confine_files` before it runs anything of a student's.
    """

    def __init__(
        self,
        layers: LayerLog,
        view: FileView,
        limits: Limits,
        control_groups: dict[str, str],
        compiled: SystemCallFilter | str,
        fallback_folder: Path,
    ) -> None:
        self._layers = layers
        self._view = view
        self._limits = limits
        self._control_groups = control_groups
        self._filter = compiled
        self._fallback_folder = fallback_folder
        self._trees: list[tuple[Path, int]] = []
        self._first = os.getpid() == 1

    @property
    def first(self) -> bool:
        """Whether this process was forked as the first of a pid namespace; else its next fork is to be that."""
        return self._first

    @property
    def home(self) -> Path:
        """The folder that notebooks run in."""
        return _HOME if self._layers.holds("private file system") else self._fallback_folder

    @property
    def scratch(self) -> Path:
        """The folder for temporary files."""
        return Path("/tmp") if self._layers.holds("private file system") else self._fallback_folder

    def leave_host(self) -> None:
        """Join the control groups, give up root, and unshare the namespaces."""
        for kind, place in self._control_groups.items():
            with self._layers.layer(f"{kind} cgroup") as wanted:
                if wanted and not place.startswith("/"):
                    raise OSError(place)
                if wanted:
                    linux.write_file(f"{place}/cgroup.procs", "0")  # whoever writes
        root = os.geteuid() == 0
        namespaces = self._layers.wanted("user namespace") and self._layers.wanted("mount namespace")
        if root and namespaces:
            self._clone_trees()
        with self._layers.layer("unprivileged user") as wanted:
            if wanted and root:
                # By the number that /proc shows: a first process's own is always 1.
                self._become(_FIRST_USER_ID + int(Path("/proc/self").readlink().name))
        user, group = os.geteuid(), os.getegid()
        for name, flag in _NAMESPACES.items():
            with self._layers.layer(name) as wanted:
                if wanted and not (name == "pid namespace" and self._first):
                    linux.unshare(flag)
                    if name == "user namespace":
                        _map_user(user, group)
        if not root and self._layers.holds("mount namespace"):
            self._clone_trees()

    @staticmethod
    def _become(identity: int) -> None:
        os.setgroups([])
        os.setresgid(identity, identity, identity)
        os.setresuid(identity, identity, identity)
        # Giving up root made /proc/self root's own, and the id maps are written there.
        linux.set_dumpable(True)

    def _clone_trees(self) -> None:
        with self._layers.layer("private file system"):
            for path in (*self._view.readable, *self._view.devices()):
                if not path.is_symlink():
                    tree = linux.clone_tree(path)
                    device = path in self._view.devices()
                    linux.restrict_mount(tree, read_only=not device, devices=device)
                    self._trees.append((path, tree))
            for inside, path in self._view.shown.items():
                tree = linux.clone_tree(path)
                linux.restrict_mount(tree, read_only=True)
                self._trees.append((inside, tree))
            if self._first:
                # The user namespace that comes next has no say over a pid namespace which is older.
                self._make_proc()

    def _make_proc(self) -> None:
        try:
            self._trees.append((Path("/proc"), linux.new_proc()))
        except OSError as error:
            # Needs a pid namespace of its own, and many containers forbid it.
            self._layers.remark("private file system", f"without /proc: {error.strerror}")

    def settle_as_first_process(self) -> None:
        """Build the file system, then drop what was needed to build it."""
        with self._layers.layer("private file system") as wanted:
            if wanted:
                if not self._layers.holds("mount namespace"):
                    raise OSError("needs the mount namespace")
                self._build_file_system()
        if not self._layers.holds("private file system"):
            self._fallback_folder.mkdir(mode=0o700)
        os.chdir(self.home)
        with self._layers.layer("uts namespace") as wanted:
            if wanted and self._layers.holds("user namespace"):
                linux.set_host_name("grader")
        with self._layers.layer("capabilities") as wanted:
            if wanted:
                linux.drop_capabilities()
        with self._layers.layer("no new privileges") as wanted:
            if wanted:
                linux.no_new_privileges()
        linux.set_dumpable(False)

    def _build_file_system(self) -> None:
        linux.make_private()
        if not self._first:
            self._make_proc()
        root = Path("/tmp")
        linux.mount("tmpfs", root, "size=16m,mode=755")
        # First, because Python's environment may itself lie below /tmp or /home.
        self._mount_scratch(root)
        for path, tree in self._trees:
            target = root / path.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            # Of the tree, not of the path: the host's /tmp is out of sight by now.
            target.mkdir() if stat.S_ISDIR(os.fstat(tree).st_mode) else target.touch()
            linux.move_mount(tree, target)
            os.close(tree)
        self._copy_links(root)
        self._cover_hidden(root)
        self._write_settings(root)
        (root / "proc").mkdir(exist_ok=True)
        old = root / "old"
        old.mkdir()
        self._mount_terminals(root / "dev")
        linux.pivot_root(root, old)
        os.chdir("/")
        linux.unmount(Path("/old"))
        Path("/old").rmdir()
        root_descriptor = os.open("/", os.O_PATH | os.O_CLOEXEC)
        linux.restrict_mount(root_descriptor, read_only=True, recursive=False)
        os.close(root_descriptor)

    @staticmethod
    def _mount_terminals(devices: Path) -> None:
        # IPython runs `!command` on a pseudo-terminal.
        (devices / "pts").mkdir(parents=True)
        linux.mount("devpts", devices / "pts", "newinstance,ptmxmode=0666,mode=600")
        (devices / "ptmx").symlink_to("pts/ptmx")

    def _copy_links(self, root: Path) -> None:
        for path in self._view.readable:
            if path.is_symlink():
                target = root / path.relative_to("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(path.readlink())

    def _cover_hidden(self, root: Path) -> None:
        for path in self._view.hidden:
            covered = root / path.relative_to("/")
            if covered.is_dir():
                linux.mount("tmpfs", covered, "size=4k,mode=555,ro")

    @staticmethod
    def _write_settings(root: Path) -> None:
        settings = {
            "passwd": "student:x:1000:1000:student:/home/student:/bin/sh\n",
            "group": "student:x:1000:\n",
            "hosts": "127.0.0.1 localhost grader\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        }
        (root / "etc").mkdir(exist_ok=True)
        for name, text in settings.items():
            linux.write_file(f"{root}/etc/{name}", text)

    def _mount_scratch(self, root: Path) -> None:
        # One file system behind all writable folders, so that one bound holds for all of them together.
        scratch = root / "scratch"
        scratch.mkdir()
        linux.mount("tmpfs", scratch, f"size={self._limits.written_bytes},nr_inodes=100k,mode=755")
        for path in _WRITABLE:
            inside, target = scratch / path.name, root / path.relative_to("/")
            inside.mkdir(mode=0o777)
            target.mkdir(parents=True, exist_ok=True)
            tree = linux.clone_tree(inside)
            linux.move_mount(tree, target)
            os.close(tree)
        linux.unmount(scratch)
        scratch.rmdir()
        (root / _HOME.relative_to("/")).mkdir()

    def confine(self) -> None:
        """Lock the first process in for good, and so all that it forks: resource limits, Landlock, seccomp."""
        with self._layers.layer("resource limits") as wanted:
            if wanted:
                _limit_resources(self._limits)
        with self._layers.layer("landlock") as wanted:
            if wanted:
                # Every file for now: forks write to /proc before they give their own files up.
                linux.landlock_restrict([], [Path("/")], scoped=True)
        with self._layers.layer("seccomp") as wanted:
            if wanted:
                if isinstance(self._filter, str):
                    raise OSError(self._filter)
                self._filter.load()

    def confine_files(self, *, scoped: bool) -> None:
        """Take from a fork of the first process, for good, what it is not to reach, where Landlock holds.

        Args:
            scoped: whether signals and abstract sockets of all but its own children are out of its reach, too.

        Raises:
            OSError: no such fork may run.
        """
        if self._layers.holds("landlock"):
            private = self._layers.holds("private file system")
            readable = [*self._view.readable, *_SETTINGS, Path("/proc"), *(self._view.shown if private else ())]
            folders = [*_WRITABLE, Path("/dev/pts")] if private else [self._fallback_folder]
            linux.landlock_restrict(readable, [*folders, *self._view.devices()], scoped=scoped)


_SETTINGS = [Path("/etc") / name for name in ("passwd", "group", "hosts", "nsswitch.conf")]


def _map_user(user: int, group: int) -> None:
    linux.write_file("/proc/self/setgroups", "deny")
    linux.write_file("/proc/self/uid_map", f"1000 {user} 1")
    linux.write_file("/proc/self/gid_map", f"1000 {group} 1")


def _limit_resources(limits: Limits) -> None:
    bounds = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: limits.written_bytes,
        resource.RLIMIT_DATA: limits.memory_bytes,
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_NOFILE: 1024,
        resource.RLIMIT_MEMLOCK: 64 * 2**20,
    }
    for which, wanted in bounds.items():
        _, hard = resource.getrlimit(which)
        bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(which, (bound, bound))
