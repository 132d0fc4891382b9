"""The layers of my homework."""
