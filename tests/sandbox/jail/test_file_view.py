"""Landlock's rules leave out what is hidden, also below a folder that may be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.gpu.device import DeviceAccess
from grader.sandbox.jail.file_view import FileView


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A readable folder with something hidden in it, and a link that leads there."""
    for name in ("bin", "share/datasets/images", "share/fonts"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "share" / "shortcut").symlink_to("datasets")
    (tmp_path / "key").write_text("secret")
    return tmp_path


def test_a_folder_with_something_hidden_is_listed_and_its_other_entries_are_read(root: Path) -> None:
    view = FileView((root / "share" / "datasets", root / "key"), readable=(root,))
    rules = view.rules_outside((Path("/tmp/work"),))
    below = {str(path.relative_to(root)) for path in rules.readable if path.is_relative_to(root)}
    assert below == {"bin", "share/fonts"}
    assert set(rules.listed) == {root, root / "share"}
    assert Path("/tmp/work") in rules.writable


def test_a_link_to_what_is_hidden_gives_no_rule_for_it(root: Path) -> None:
    (root / "elsewhere").symlink_to("share")
    view = FileView((root / "share" / "datasets",), readable=(root / "elsewhere", root / "bin"))
    rules = view.rules_outside(())
    assert {path for path in rules.readable if path.is_relative_to(root)} == {root / "bin", root / "share" / "fonts"}


def test_without_anything_hidden_a_folder_has_one_rule(root: Path) -> None:
    rules = FileView((Path("/nowhere"),), readable=(root,)).rules_outside(())
    assert [path for path in rules.readable if path.is_relative_to(root)] == [root]
    assert rules.listed == ()


def test_no_process_and_no_user_of_the_host_is_readable(root: Path) -> None:
    rules = FileView((), readable=(root,)).rules_outside(())
    assert not {Path("/proc"), Path("/etc/passwd"), Path("/etc/group")} & {*rules.readable, *rules.listed}
    assert not [path for path in rules.readable if path.parts[:3] in ((("/", "proc", "self")), ("/", "proc", "net"))]


@pytest.mark.parametrize("private", [True, False], ids=["inside", "outside"])
def test_the_files_of_a_device_are_used_and_not_changed(root: Path, private: bool) -> None:
    nodes = (Path("/dev/nvidia0"), Path("/dev/nvidiactl"))
    view = FileView((), readable=(root,), device=DeviceAccess("GPU-1", nodes))
    rules = view.rules_inside(()) if private else view.rules_outside(())
    assert rules.used == nodes
    assert not set(nodes) & {*rules.readable, *rules.writable}
    assert rules.overwritten == ((Path("/proc/self/task"),) if private else ())


def test_without_a_device_nothing_is_used_and_overwritten(root: Path) -> None:
    for rules in (FileView((), readable=(root,)).rules_inside(()), FileView((), readable=(root,)).rules_outside(())):
        assert (rules.used, rules.overwritten) == ((), ())
