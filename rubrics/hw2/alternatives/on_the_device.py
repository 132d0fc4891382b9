"""Models that move themselves and their input to the device that the student's machine has."""

import torch
from d2l import torch as d2l
from torch import nn
from torch.nn import functional as F

device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
torch.manual_seed(0)


def corr2d(X, K):
    X, K = X.to(device), K.to(device)
    Y = torch.zeros((X.shape[0] - K.shape[0] + 1, X.shape[1] - K.shape[1] + 1), device=device)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + K.shape[0], j : j + K.shape[1]] * K).sum()
    return Y.cpu()


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            *(nn.LazyConv2d(6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.LazyConv2d(16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2)),
            *(nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid(), nn.LazyLinear(10)),
        ).to(device)

    def forward(self, X):
        return self.net(X.to(device))


class Residual(nn.Module):
    def __init__(self, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides, device=device)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, device=device)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides, device=device) if use_1x1conv else None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(device=device), nn.LazyBatchNorm2d(device=device)

    def forward(self, X):
        Y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(X)))))
        return F.relu(Y + (self.conv3(X) if self.conv3 is not None else X))


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.LazyConv2d(64, kernel_size=7, stride=2, padding=3),
            *(nn.LazyBatchNorm2d(), nn.ReLU(), nn.MaxPool2d(kernel_size=3, stride=2, padding=1)),
            *(Residual(64), Residual(64), Residual(128, True, 2), Residual(128)),
            *(Residual(256, True, 2), Residual(256), Residual(512, True, 2), Residual(512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(10)),
        ).to(d2l.try_gpu())

    def forward(self, X):
        return self.net(X.to(device))
