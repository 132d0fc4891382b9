"""A class graded on this machine: the parent process, and the children that grade."""
