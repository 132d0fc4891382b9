"""Grading a class on this machine: the parent process, and the processes that grade."""
