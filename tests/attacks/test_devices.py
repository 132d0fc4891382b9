"""A sandbox has the one device that it was given; devices of others are out of reach, by each of three layers alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.errors import DeviceFault
from grader.sandbox.host.sandbox import Zygote
from tests.support.device_files import WAYS, find_devices, grant, make_nodes
from tests.support.sandbox_runs import LIMITS, ran

WALLS = ("private file system", "landlock", "devices cgroup")


@pytest.fixture(scope="module")
def bare() -> Iterator[Zygote]:
    """A warm process without the course's packages, which is quick to start."""
    with Zygote(()) as warm:
        yield warm


@pytest.fixture
def minors() -> list[int]:
    """The numbers of the sandbox's own device and of another one."""
    return find_devices(2)


@pytest.fixture
def nodes(minors: list[int]) -> Iterator[list[Path]]:
    """The files of the sandbox's own device and of another one."""
    with make_nodes(*minors) as made:
        yield made


def reach_both(nodes: list[Path], minors: list[int]) -> tuple[str, str]:
    """Return cells that record whether the own device is reached, and whether the other one is."""
    own, other = (f"int(reach({str(node)!r}, {minor}))" for node, minor in zip(nodes, minors, strict=True))
    return WAYS, f"own = {own}\nos.remove('link0'), os.remove('link1')\nother = {other}\ndef f(): return own, other"


def test_a_cell_uses_the_device_that_it_was_given_and_no_other(
    bare: Zygote, nodes: list[Path], minors: list[int]
) -> None:
    with ran(bare, *reach_both(nodes, minors), device=grant(nodes[0])) as made:
        assert made.statuses() == ["ok", "ok"]
        assert made.call("f") == (1, 0)


def test_a_sandbox_without_a_device_reaches_none_while_another_one_uses_it(
    bare: Zygote, nodes: list[Path], minors: list[int]
) -> None:
    use = f"import os\nkept = os.open({str(nodes[0])!r}, os.O_RDWR)"
    with (
        ran(bare, use, device=grant(nodes[0])) as user,
        ran(bare, *reach_both(nodes, minors)) as made,
    ):
        assert user.statuses() == ["ok"]
        assert made.call("f") == (0, 0)


@pytest.mark.parametrize("wall", WALLS)
def test_each_of_three_layers_alone_keeps_another_device_away(
    bare: Zygote, nodes: list[Path], minors: list[int], wall: str
) -> None:
    others = frozenset(WALLS) - {wall}
    with ran(bare, *reach_both(nodes, minors), device=grant(nodes[0]), left_out=others) as made:
        layer = next(each for each in made.sandbox.layers if each.name == wall)
        if not layer.on:
            pytest.skip(f"{wall} does not hold on this machine: {layer.reason}")
        assert made.statuses() == ["ok", "ok"]
        assert made.call("f") == (1, 0)


def test_without_these_layers_another_device_is_reached(bare: Zygote, nodes: list[Path], minors: list[int]) -> None:
    with ran(bare, *reach_both(nodes, minors), device=grant(nodes[0]), left_out=frozenset(WALLS)) as made:
        assert made.call("f") == (1, 1)


def test_a_device_file_cannot_be_changed(bare: Zygote, nodes: list[Path]) -> None:
    node = str(nodes[0])
    cell = f"""
import os
done = []
for change in (
    lambda: os.chmod({node!r}, 0), lambda: os.chown({node!r}, 1000, 1000), lambda: os.remove({node!r}),
    lambda: os.rename({node!r}, "/tmp/node"), lambda: os.link({node!r}, "/tmp/node"),
    lambda: os.utime({node!r}, (0, 0)),
):
    try:
        change()
        done.append(1)
    except OSError:
        pass
def f(): return len(done)
"""
    before = nodes[0].stat()
    with ran(bare, cell, device=grant(nodes[0])) as made:
        assert made.call("f") == 0
    after = nodes[0].stat()
    assert (before.st_mode, before.st_uid, before.st_mtime) == (after.st_mode, after.st_uid, after.st_mtime)


def test_a_device_that_has_vanished_is_a_fault_of_the_device(bare: Zygote, tmp_path: Path) -> None:
    with pytest.raises(DeviceFault, match="has vanished"), bare.sandbox(LIMITS, device=grant(tmp_path / "nvidia0")):
        pass
