"""Classification: d2l.ai sections 4.3 to 4.5."""

from torch import Tensor

__all__ = ["accuracy", "softmax"]


def softmax(X: Tensor) -> Tensor:
    """Return the probabilities that each row of scores stands for (4.4.1).

    Args:
        X: the scores, (examples, classes).

    Returns:
        (examples, classes); every row adds up to 1.
    """
    # Taking each row's largest score away changes no probability, and keeps exp from growing past what a float holds.
    powers = (X - X.max(dim=1, keepdim=True).values).exp()
    return powers / powers.sum(dim=1, keepdim=True)


def accuracy(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the fraction of examples whose largest score is at their label (4.3.2).

    Args:
        scores: (examples, classes).
        labels: whole numbers, (examples,).

    Returns:
        One number, as a tensor without dimensions.
    """
    return (scores.argmax(dim=1) == labels).float().mean()
