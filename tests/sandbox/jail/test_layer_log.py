"""A layer is on only if every step of it succeeded."""

from __future__ import annotations

import errno

import pytest

from grader.sandbox.jail.layer_log import LAYERS, LayerLog


def status(log: LayerLog, name: str) -> tuple[bool, str]:
    """Return whether a layer holds, and the reason."""
    (layer,) = [each for each in log.status() if each.name == name]
    return layer.on, layer.reason


def test_a_layer_that_was_never_reached_does_not_hold() -> None:
    assert {status(LayerLog(), name) for name in LAYERS} == {(False, "not reached")}


def test_a_layer_holds_if_its_steps_succeed() -> None:
    log = LayerLog()
    for _ in range(2):
        with log.layer("uts namespace") as applies:
            assert applies
    assert log.holds("uts namespace")
    assert status(log, "uts namespace") == (True, "")


def test_a_step_that_failed_is_not_forgotten_by_the_next() -> None:
    log = LayerLog()
    with log.layer("uts namespace"):
        raise OSError(errno.EPERM, "this machine forbids it to this user")
    with log.layer("uts namespace") as applies:
        assert not applies
    assert status(log, "uts namespace") == (False, "this machine forbids it to this user")
    assert not log.holds("uts namespace")


def test_a_layer_that_is_left_out_is_switched_off_whatever_happens() -> None:
    log = LayerLog(frozenset({"seccomp"}))
    with log.layer("seccomp") as applies:
        assert not applies
    log.fail("seccomp", "it is missing")
    assert status(log, "seccomp") == (False, "switched off")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EPERM, "Operation not permitted", "mount tmpfs on /tmp"), "mount tmpfs on /tmp: Operation not"),
        (OSError("needs the mount namespace"), "needs the mount namespace"),
        (RuntimeError("libseccomp is missing"), "libseccomp is missing"),
    ],
)
def test_the_reason_is_in_words(error: Exception, reason: str) -> None:
    log = LayerLog()
    with log.layer("private file system"):
        raise error
    assert status(log, "private file system")[1].startswith(reason)


def test_a_remark_is_for_a_layer_that_holds() -> None:
    log = LayerLog()
    log.add_remark("private file system", "without /proc")
    with log.layer("private file system"):
        pass
    assert status(log, "private file system") == (True, "without /proc")
    log.fail("private file system", "it has no effect")
    assert status(log, "private file system") == (False, "it has no effect")
