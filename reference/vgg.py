"""VGG: d2l.ai section 8.2."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

__all__ = ["VGG", "vgg_block"]


def vgg_block(num_convs: int, out_channels: int) -> nn.Sequential:
    """Return convolutions that keep the size, each with ReLU, and a pooling that halves it (8.2.1).

    Args:
        num_convs: the number of 3x3 convolutions with padding 1.
        out_channels: the number of output channels of each.

    Returns:
        A module that maps (n, c, h, w) to (n, out_channels, h // 2, w // 2).
    """
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.LazyConv2d(out_channels, kernel_size=3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))


class VGG(nn.Module):
    """A VGG network: blocks of convolutions, then three fully connected layers (8.2.2).

    Args:
        arch: (num_convs, out_channels) of each block; VGG-11 has (1, 64), (1, 128), (2, 256), (2, 512), (2, 512).
        num_classes: the number of classes.
    """

    def __init__(self, arch: Sequence[tuple[int, int]], num_classes: int = 10) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(vgg_block(num_convs, out_channels) for num_convs, out_channels in arch))
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.LazyLinear(4096),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.LazyLinear(4096),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.LazyLinear(num_classes),
        )

    def forward(self, X: Tensor) -> Tensor:
        """Map (n, c, h, w) to the logits, (n, num_classes)."""
        logits: Tensor = self.classifier(self.blocks(X))
        return logits
