"""LeNet: d2l.ai section 7.6."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["LeNet", "init_cnn"]


def init_cnn(module: nn.Module) -> None:
    """Initialise the weights of a fully connected or convolutional layer, Xavier-uniform (7.6.1).

    Args:
        module: any layer; layers of other kinds do not change.
    """
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.xavier_uniform_(module.weight)


class LeNet(nn.Module):
    """LeNet-5 for 28x28 images of one channel, with sigmoid and average pooling (7.6.1).

    Args:
        num_classes: the number of classes.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=5, padding=2),  # (6, 28, 28)
            nn.Sigmoid(),
            nn.AvgPool2d(kernel_size=2, stride=2),  # (6, 14, 14)
            nn.Conv2d(6, 16, kernel_size=5),  # (16, 10, 10)
            nn.Sigmoid(),
            nn.AvgPool2d(kernel_size=2, stride=2),  # (16, 5, 5)
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),  # 400
            nn.Linear(16 * 5 * 5, 120),
            nn.Sigmoid(),
            nn.Linear(120, 84),
            nn.Sigmoid(),
            nn.Linear(84, num_classes),
        )

    def forward(self, X: Tensor) -> Tensor:
        """Map (n, 1, 28, 28) to the logits, (n, num_classes)."""
        logits: Tensor = self.classifier(self.features(X))
        return logits
