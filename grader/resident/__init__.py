"""The resident grader: a process that stays warm between the commands of one user (docs/resident.md).

A command finds it by a socket (`endpoint.py`), gives it its words, environment and files (`client.py`), and is run in a
fork of it (`server.py`, `forked_command.py`). It is only about speed: without it every command does the same by itself.
"""
