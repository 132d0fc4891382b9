"""All windows at once: unfold, einsum over them, no loop anywhere.

No lazy layer: every layer says how many channels come in.
"""

import torch
from torch import nn
from torch.nn import functional as F


def corr2d(X, K):
    windows = X.unfold(0, K.shape[0], 1).unfold(1, K.shape[1], 1)  # (h, w, k_h, k_w)
    return (windows * K).sum(dim=(-2, -1))


class Conv2D(nn.Module):
    def __init__(self, kernel_size):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(kernel_size) * 0.1)
        self.bias = nn.Parameter(torch.tensor(0.0))

    def forward(self, x):
        return corr2d(x, self.weight) + self.bias


def comp_conv2d(conv2d, X):
    return conv2d(X.unsqueeze(0).unsqueeze(0)).squeeze(0).squeeze(0)


def corr2d_multi_in(X, K):
    windows = X.unfold(1, K.shape[1], 1).unfold(2, K.shape[2], 1)  # (c, h, w, k_h, k_w)
    return (windows * K[:, None, None]).sum(dim=(0, 3, 4))


def corr2d_multi_in_out(X, K):
    columns = F.unfold(X[None].float(), kernel_size=tuple(K.shape[2:]))[0]
    Y = K.reshape(K.shape[0], -1).float() @ columns
    return Y.reshape(K.shape[0], X.shape[1] - K.shape[2] + 1, -1)


def corr2d_multi_in_out_1x1(X, K):
    return torch.tensordot(K[:, :, 0, 0], X, dims=1)


def pool2d(X, pool_size, mode="max"):
    windows = X.unfold(0, pool_size[0], 1).unfold(1, pool_size[1], 1).flatten(-2)
    return windows.max(dim=-1).values if mode == "max" else windows.mean(dim=-1)


def edge_image():
    columns = torch.arange(8)
    return (((columns < 2) | (columns >= 6)).float()).repeat(6, 1)


def init_cnn(module):
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        outputs, inputs, *kernel = module.weight.shape
        pixels = torch.tensor(kernel).prod().item()
        bound = (6 / ((inputs + outputs) * pixels)) ** 0.5
        with torch.no_grad():
            module.weight.copy_((2 * torch.rand_like(module.weight) - 1) * bound)


class LeNet(nn.Module):
    def __init__(self, input_channels=1, num_classes=10):
        super().__init__()
        self.conv = nn.Sequential(
            *(nn.Conv2d(input_channels, 6, kernel_size=(5, 5), padding=(2, 2)), nn.Sigmoid(), nn.AvgPool2d((2, 2))),
            *(nn.Conv2d(6, 16, kernel_size=(5, 5)), nn.Sigmoid(), nn.AvgPool2d((2, 2))),
        )
        self.fc = nn.Sequential(
            *(nn.Linear(16 * 5 * 5, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, num_classes)),
        )

    def forward(self, X):
        return self.fc(self.conv(X).reshape(X.shape[0], 16 * 5 * 5))


def vgg_block(num_convs, out_channels, in_channels=1):
    layers = [nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=1, padding=1), nn.ReLU()]
    for _ in range(num_convs - 1):
        layers += [nn.Conv2d(out_channels, out_channels, kernel_size=3, stride=1, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2, 2))


class VGG(nn.Module):
    def __init__(self, arch, in_channels=1, num_classes=10):
        super().__init__()
        blocks = []
        for num_convs, out_channels in arch:
            blocks.append(vgg_block(num_convs, out_channels, in_channels))
            in_channels = out_channels
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Sequential(
            *(nn.Linear(in_channels * 7 * 7, 4096), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, num_classes)),
        )

    def forward(self, X):
        X = self.features(X)
        return self.classifier(X.reshape(X.shape[0], -1))


class Residual(nn.Module):
    def __init__(self, input_channels, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        self.conv1 = nn.Conv2d(input_channels, num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.Conv2d(num_channels, num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(input_channels, num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1 = nn.BatchNorm2d(num_channels)
        self.bn2 = nn.BatchNorm2d(num_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, X):
        Y = self.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        if self.conv3 is not None:
            X = self.conv3(X)
        Y += X
        return self.relu(Y)


def resnet_block(input_channels, num_channels, num_residuals, first_block=False):
    blocks = []
    for i in range(num_residuals):
        if i == 0 and not first_block:
            blocks.append(Residual(input_channels, num_channels, use_1x1conv=True, strides=2))
        else:
            blocks.append(Residual(num_channels, num_channels))
    return blocks


class ResNet18(nn.Module):
    def __init__(self, in_channels=1, num_classes=10):
        super().__init__()
        self.b1 = nn.Sequential(
            *(nn.Conv2d(in_channels, 64, kernel_size=7, stride=2, padding=3), nn.BatchNorm2d(64), nn.ReLU()),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
        self.b2 = nn.Sequential(*resnet_block(64, 64, 2, first_block=True))
        self.b3 = nn.Sequential(*resnet_block(64, 128, 2))
        self.b4 = nn.Sequential(*resnet_block(128, 256, 2))
        self.b5 = nn.Sequential(*resnet_block(256, 512, 2))
        self.fc = nn.Linear(512, num_classes)

    def forward(self, X):
        X = self.b5(self.b4(self.b3(self.b2(self.b1(X)))))
        return self.fc(F.adaptive_avg_pool2d(X, 1).flatten(1))
