"""The server and its workers: what the extra `service` installs."""
