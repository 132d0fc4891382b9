"""Mistakes that students make with softmax and accuracy, each with the items that it breaks."""

import torch
from torch import Tensor

from grader.testing import misconception


@misconception(
    "softmax",
    breaks=("softmax.values", "softmax.large"),
    says="the probabilities add up to 1 in every column, not in every row",
    look="a row is an example, and `dim=1` goes along it",
)
def normalised_columns(X: Tensor) -> Tensor:
    return torch.softmax(X, dim=0)


@misconception(
    "softmax",
    breaks=("softmax.large",),
    says="the exponential grows past what a float holds",
    look="taking the same number away from every score of a row changes no probability",
)
def overflows(X: Tensor) -> Tensor:
    powers = X.exp()
    return powers / powers.sum(dim=1, keepdim=True)


@misconception(
    "accuracy",
    breaks=("accuracy",),
    says="this counts the right rows",
    look="accuracy is the fraction of them",
)
def counted(scores: Tensor, labels: Tensor) -> Tensor:
    return (scores.argmax(dim=1) == labels).sum()
