"""The sandbox: a locked-down process tree for one submission, and its trusted end."""
