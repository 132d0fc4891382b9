"""Tests of grader/sandbox/host/warm_processes.py."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.assignment import Assignment
from grader.sandbox.host import warm_processes
from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.host.warm_processes import accept_lines, open_zygote


class _NewZygote(Zygote):
    """Stands for a new process, which would take seconds to start."""

    def __init__(self, packages: object, library_folders: object = ()) -> None:
        raise AssertionError("a new process was started")


@pytest.fixture
def reports(zygote: Zygote, hw2: Assignment, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Lend a line to the warm process of all tests; yield the other end of the line for reports."""
    monkeypatch.setattr(warm_processes, "_lent", {})
    monkeypatch.setattr(warm_processes, "_reports", [])
    monkeypatch.setattr(warm_processes, "Zygote", _NewZygote)
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line = zygote.open_line()
    with ours, peer, line:
        accept_lines({hw2.packages: line}, peer)
        yield ours


def test_what_was_lent_is_used_once_and_the_assignment_is_reported(reports: socket.socket, hw2: Assignment) -> None:
    with open_zygote(hw2) as lent:
        assert lent.missing == {}
    assert os.fsdecode(reports.recv(4096)) == str(hw2.folder.absolute())
    with pytest.raises(AssertionError, match="new process"), open_zygote(hw2):
        pass


def test_a_process_with_other_libraries_is_new(reports: socket.socket, hw2: Assignment, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="new process"), open_zygote(hw2, [tmp_path]):
        pass


def test_one_that_has_ended_is_not_used(hw2: Assignment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_processes, "_lent", {})
    monkeypatch.setattr(warm_processes, "_reports", [])
    monkeypatch.setattr(warm_processes, "Zygote", _NewZygote)
    ended, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.close()
    accept_lines({hw2.packages: ended}, peer)
    with ended, pytest.raises(AssertionError, match="new process"), open_zygote(hw2):
        pass
