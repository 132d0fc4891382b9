"""How a process is locked in: namespaces, mounts, control groups, Landlock and seccomp."""
