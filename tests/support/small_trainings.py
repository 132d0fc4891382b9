"""HW2 with recipes so small that a test can afford a training, and notebooks that train."""

from __future__ import annotations

from dataclasses import replace

from grader.assignment import Assignment
from grader.models.recipe import Mode, Recipe

__all__ = ["LENET", "RECIPE", "lenet", "with_small_recipes"]

RECIPE = Recipe(
    images=2000, epochs=1, batch=32, optimizer="adam", lr=0.003, side=28, threshold=0.5, judged=500, decay=False,
    calibrated_on="cpu",
)  # fmt: skip

LENET = """
import torch
from torch import nn
class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
    def forward(self, X):
        return self.net(X)
"""


def lenet(last: str = "nn.Linear(84, 10)", forward: str = "return self.net(X)") -> str:
    """Return the cell of a LeNet whose last layer or forward pass is another."""
    return LENET.replace("nn.Linear(84, 10)", last).replace("return self.net(X)", forward)


def with_small_recipes(assignment: Assignment) -> Assignment:
    """Return an assignment in which every training is small."""
    items = [replace(item, recipes={Mode.QUICK: RECIPE} if item.recipes else {}) for item in assignment.items]
    return replace(assignment, items=tuple(items))
