"""Plain modules with odd attribute names, whose activations and poolings are functions."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Conv2D(nn.Module):
    def __init__(self, kernel_size):
        super().__init__()
        self.register_parameter("offset", nn.Parameter(torch.zeros(())))
        self.register_parameter("filter", nn.Parameter(torch.rand(kernel_size)))

    def forward(self, x):
        return corr2d(x, self.filter).add(self.offset)  # noqa: F821


def init_cnn(net):
    """Initialise a whole network, given at once."""
    for layer in net.modules():
        if layer.__class__.__name__ in ("Linear", "Conv2d"):
            nn.init.xavier_uniform_(layer.weight.data)
            layer.bias.data.zero_()


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(84, 10)  # in no particular order
        self.fc2 = nn.Linear(120, 84)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.c2 = nn.Conv2d(6, 16, 5)
        self.c1 = nn.Conv2d(1, 6, 5, padding=2)

    def forward(self, x):
        x = F.avg_pool2d(torch.sigmoid(self.c1(x)), 2)
        x = F.avg_pool2d(torch.sigmoid(self.c2(x)), 2)
        x = x.view(x.size(0), -1)
        x = self.fc1(x).sigmoid()
        x = self.fc2(x).sigmoid()
        return self.out(x)


class vgg_block(nn.Module):  # noqa: N801
    def __init__(self, num_convs, out_channels):
        super().__init__()
        self.steps = nn.ModuleList([nn.LazyConv2d(out_channels, (3, 3), padding="same") for _ in range(num_convs)])

    def forward(self, x):
        for step in self.steps:
            x = step(x).relu()
        return F.max_pool2d(x, 2)


class VGG(nn.Module):
    def __init__(self, arch):
        super().__init__()
        self.stages = nn.ModuleDict({f"stage {i}": vgg_block(*entry) for i, entry in enumerate(arch)})
        self.heads = nn.ModuleList([nn.LazyLinear(4096), nn.LazyLinear(4096)])
        self.logits = nn.LazyLinear(10)

    def forward(self, x):
        for stage in self.stages.values():
            x = stage(x)
        x = x.flatten(start_dim=1)
        for head in self.heads:
            x = F.dropout(F.relu(head(x)), training=self.training)
        return self.logits(x)


class Residual(nn.Module):
    def __init__(self, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        self.project = nn.ModuleList([nn.LazyConv2d(num_channels, 1, stride=strides)] if use_1x1conv else [])
        self.norms = nn.ModuleList([nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()])
        self.second = nn.LazyConv2d(num_channels, 3, padding=1)
        self.first = nn.LazyConv2d(num_channels, 3, stride=strides, padding=1)

    def forward(self, x):
        shortcut = x
        for layer in self.project:
            shortcut = layer(shortcut)
        x = self.norms[0](self.first(x)).clamp(min=0)
        x = self.norms[1](self.second(x))
        return torch.clamp(shortcut + x, min=0)


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.zero = nn.LazyConv2d(64, 7, 2, 3)
        self.norm = nn.LazyBatchNorm2d()
        for number, channels in enumerate((64, 128, 256, 512)):
            first = Residual(channels, True, 2) if number else Residual(channels)
            setattr(self, f"first_{number}", first)
            setattr(self, f"second_{number}", Residual(channels))
        self.last = nn.LazyLinear(10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.zero(x))), 3, 2, 1)
        for number in range(4):
            x = getattr(self, f"first_{number}")(x)
            x = getattr(self, f"second_{number}")(x)
        return self.last(x.mean(dim=(2, 3)))
