def pool2d(X, pool_size, mode="max"):
    height, width = pool_size
    windows = X.unfold(0, height, 1).unfold(1, width, 1)
    return windows.amax((-1, -2)) if mode == "max" else windows.mean((-1, -2))
