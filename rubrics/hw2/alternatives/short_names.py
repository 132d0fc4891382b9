"""Parameters with short names, which say little about what they are for."""

from torch import nn
from torch.nn import functional as F


def vgg_block(n, in_c, out_c):
    convolutions = [nn.Conv2d(in_c if i == 0 else out_c, out_c, 3, 1, 1) for i in range(n)]
    return nn.Sequential(*[layer for conv in convolutions for layer in (conv, nn.ReLU())], nn.MaxPool2d(2))


class VGG(nn.Module):
    def __init__(self, a, k=10):
        super().__init__()
        c, blocks = 1, []
        for n, out_c in a:
            blocks.append(vgg_block(n, c, out_c))
            c = out_c
        self.f = nn.Sequential(*blocks, nn.Flatten())
        self.g = nn.Sequential(nn.Linear(c * 49, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, k))

    def forward(self, x):
        return self.g(self.f(x))


class Residual(nn.Module):
    def __init__(self, in_c, out_c, s=1):
        super().__init__()
        self.f = nn.Sequential(
            *(nn.Conv2d(in_c, out_c, 3, s, 1), nn.BatchNorm2d(out_c), nn.ReLU()),
            *(nn.Conv2d(out_c, out_c, 3, 1, 1), nn.BatchNorm2d(out_c)),
        )
        self.g = nn.Conv2d(in_c, out_c, 1, s) if s > 1 or in_c != out_c else nn.Identity()

    def forward(self, x):
        return F.relu(self.f(x) + self.g(x))


class ResNet18(nn.Module):
    def __init__(self, k=10):
        super().__init__()
        self.f = nn.Sequential(nn.Conv2d(1, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        for i, o, s in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)):
            self.f.append(Residual(i, o, s)).append(Residual(o, o))
        self.g = nn.Linear(512, k)

    def forward(self, x):
        return self.g(self.f(x).mean((2, 3)))
