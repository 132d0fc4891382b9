"""Residual networks: d2l.ai section 8.6."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ResNet18", "Residual"]


class Residual(nn.Module):
    """A residual block: two 3x3 convolutions with batch normalisation, and a shortcut around them (8.6.2).

    Args:
        num_channels: the number of output channels.
        use_1x1conv: whether the shortcut is a 1x1 convolution; needed if channels or size change.
        strides: the stride of the first convolution and of the shortcut's.
    """

    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1 = nn.LazyBatchNorm2d()
        self.bn2 = nn.LazyBatchNorm2d()

    def forward(self, X: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, num_channels, ceil(h / strides), ceil(w / strides))."""
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        shortcut = X if self.conv3 is None else self.conv3(X)
        return F.relu(Y + shortcut)


class ResNet18(nn.Module):
    """ResNet-18: a stem, four stages of two residual blocks, and a fully connected layer (8.6.3).

    Args:
        num_classes: the number of classes.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3),
            nn.LazyBatchNorm2d(),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),  # a quarter of the height and the width
            Residual(64),
            Residual(64),
            Residual(128, use_1x1conv=True, strides=2),  # an eighth
            Residual(128),
            Residual(256, use_1x1conv=True, strides=2),  # a sixteenth
            Residual(256),
            Residual(512, use_1x1conv=True, strides=2),  # a thirty-second
            Residual(512),
            nn.AdaptiveAvgPool2d((1, 1)),
            nn.Flatten(),
            nn.LazyLinear(num_classes),
        )

    def forward(self, X: Tensor) -> Tensor:
        """Map (n, c, h, w) to the logits, (n, num_classes)."""
        logits: Tensor = self.net(X)
        return logits
