"""What both sides ask of an nn.Module: introspection, the forward trace, the exported graph, the training loop."""
