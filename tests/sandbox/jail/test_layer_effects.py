"""A layer whose call succeeded and changed nothing does not hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from grader.sandbox.jail.layer_effects import FirstProcess, Host
from grader.sandbox.jail.layer_log import LAYERS, LayerLog
from tests.support.sandbox_runs import LIMITS

SHOWN = (
    *("user namespace", "mount namespace", "net namespace", "ipc namespace", "uts namespace"),
    *("unprivileged user", "pid namespace", "private file system"),
    *("no new privileges", "seccomp", "resource limits"),
)


@pytest.fixture
def processes() -> Iterator[int]:
    """A descriptor of /proc."""
    descriptor = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def claim_all() -> LayerLog:
    log = LayerLog()
    for name in LAYERS:
        with log.layer(name):
            pass
    return log


def test_a_process_without_any_layer_is_not_believed(processes: int) -> None:
    log = claim_all()
    host = Host.observe(processes, os.getpid())
    FirstProcess(processes).withdraw_without_effect(log, host, LIMITS)
    assert [name for name in SHOWN if log.holds(name)] == []
    assert not (os.geteuid() == 0 and log.holds("capabilities"))
    off = [layer for layer in log.status() if not layer.on]
    assert {layer.reason for layer in off} == {"it was applied without an error, and has no effect"}


def test_what_differs_from_the_host_is_believed(processes: int) -> None:
    log = claim_all()
    here = Host.observe(processes, os.getpid())
    elsewhere = replace(here, namespaces=dict.fromkeys(here.namespaces, "another"), root=(0, 0))
    FirstProcess(processes).withdraw_without_effect(log, elsewhere, LIMITS)
    assert all(log.holds(f"{name} namespace") for name in ("user", "mount", "net", "ipc", "uts"))
    assert log.holds("private file system")


def test_a_layer_that_failed_keeps_its_own_reason(processes: int) -> None:
    log = LayerLog(frozenset({"net namespace"}))
    FirstProcess(processes).withdraw_without_effect(log, Host.observe(processes, os.getpid()), LIMITS)
    assert next(layer.reason for layer in log.status() if layer.name == "net namespace") == "switched off"
