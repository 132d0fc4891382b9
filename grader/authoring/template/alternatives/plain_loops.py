"""A correct solution that loops over plain numbers."""

import math

import torch
from torch import Tensor


def softmax(X: Tensor) -> Tensor:
    rows = []
    for row in X.tolist():
        powers = [math.exp(score - max(row)) for score in row]
        rows.append([power / sum(powers) for power in powers])
    return torch.tensor(rows)


def accuracy(scores: Tensor, labels: Tensor) -> float:
    right = 0
    for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
        right += row.index(max(row)) == label
    return right / len(labels)
