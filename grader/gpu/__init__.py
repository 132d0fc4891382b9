"""GPUs as the trusted side sees them: which there are, what a process needs to use one, and whether it is well."""
