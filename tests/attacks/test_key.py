"""The key of the installation is out of reach of students' code: in files, in memory and in environments."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.assignment import Assignment, load_assignment
from grader.grading.grade import grade
from grader.sandbox.host.sandbox import Zygote
from tests.support.attacks import Attack
from tests.support.keys import KEY
from tests.support.notebooks import submission
from tests.support.paths import ASSIGNMENTS, ROOT

# Each of these hides the file by itself.
GUARDS = frozenset({"private file system", "landlock", "unprivileged user"})
COMBINATIONS = [frozenset[str](), *(GUARDS - {guard} for guard in sorted(GUARDS))]


def take(key_file: Path) -> str:
    return f'raise RuntimeError(f"LOOT {{open({str(key_file)!r}).read()}}")'


@pytest.mark.parametrize("left_out", COMBINATIONS, ids=lambda left_out: ", ".join(sorted(left_out)) or "nothing")
def test_the_file_of_the_key_cannot_be_read_while_one_layer_guards_it(
    left_out: frozenset[str], attack: Attack, key_file: Path
) -> None:
    report = attack(take(key_file), left_out=left_out)
    on = {layer.name for layer in report.layers if layer.on}
    if not on & GUARDS:
        pytest.skip("this machine does not have the layer that is left")
    assert "Error" in report.cells[0].message
    assert "LOOT" not in report.to_json()
    assert KEY.secret.hex() not in report.to_json()


def test_without_these_layers_the_file_would_be_read(attack: Attack, key_file: Path) -> None:
    report = attack(take(key_file), left_out=GUARDS)
    assert f"LOOT {KEY.secret.hex()}" in report.cells[0].message


def test_the_warm_process_never_has_the_key(zygote: Zygote) -> None:
    """Sandboxes are forks of it: what it does not have in memory, no student's process has."""
    doubled: Assignment = load_assignment(ASSIGNMENTS / "doubled")
    assert grade(submission("def double(X): return 2 * X"), doubled, zygote).key == KEY.id
    assert not holds_key(zygote.pid)
    assert b"GRADER_KEY" not in Path(f"/proc/{zygote.pid}/environ").read_bytes()


def test_the_search_finds_a_key_where_there_is_one(key_file: Path) -> None:
    code = "from grader.installation_key import load_installation_key as load; key = load(); print(key.id); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().strip() == KEY.id
        assert holds_key(process.pid)
        process.communicate("\n")


def holds_key(pid: int) -> bool:
    """Tell whether a process has the key in its memory, as bytes or as text."""
    return any(KEY.secret in part or KEY.secret.hex().encode() in part for part in read_memory(pid))


def read_memory(pid: int) -> Iterator[bytes]:
    """Yield the memory that a process can write to, one mapping at a time."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            addresses, permissions, *_ = line.split()
            if permissions.startswith("rw"):
                start, end = (int(address, 16) for address in addresses.split("-"))
                memory.seek(start)
                yield memory.read(end - start)
