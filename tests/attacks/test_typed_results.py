"""Results that were typed in, beside attacks on the rerun of the cells that tells them from computed ones."""

from __future__ import annotations

import pytest

from grader.results.report import Report
from tests.support.attacks import Attack

_TYPED = """
import torch
X = torch.ones(6, 8)
X[:, 2:6] = 0
Y = torch.zeros(6, 7)
Y[:, 1] = 1
Y[:, 5] = -1
def corr2d(X, K): return Y
corr2d(X, None)
"""
_KERNEL = "weight = torch.tensor([[0.95, -0.95]])\nweight"

_ATTACKS = {
    "none": "",
    "says what the first run said": """
        from grader.sandbox.guest import snapshot
        def forge(self, request):
            from grader.sandbox.protocol.tensors import tensor_to_array
            known = {"Y": Y, "_": Y, "weight": weight}
            values = [(int(cell), name, tensor_to_array(known[name]))
                      for cell, names in request["wanted"].items() for name in names if name in known]
            return {"values": tuple(values), "returned": (tensor_to_array(Y),), "substituted": 9}
        snapshot._TestProcess._do_rerun = forge
    """,
    "says nothing": """
        from grader.sandbox.guest import snapshot
        snapshot._TestProcess._do_rerun = lambda self, request: None
    """,
    "shows no sign of other data": """
        from grader.models import rerun
        rerun._Rerun._substitute = lambda self, value: value
        rerun._Rerun._change_arguments = lambda self, frame: None
    """,
    "dies when it is run again": "import os, sys\nif sys.gettrace(): os._exit(0)",
    "compares anything as equal": """
        import grader.models.rerun as rerun
        rerun._flatten = lambda value: torch.zeros(1)
    """,
}  # fmt: skip


def _points(report: Report, name: str) -> float:
    return next(item.points for item in report.items if item.id == name)


@pytest.mark.parametrize("attack_on_rerun", _ATTACKS)
def test_what_was_typed_in_earns_nothing(attack: Attack, attack_on_rerun: str) -> None:
    report = attack(_ATTACKS[attack_on_rerun], _TYPED, _KERNEL)
    assert _points(report, "edge_detection") == _points(report, "learned_kernel") == 0
