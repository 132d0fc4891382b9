"""The grading service: the HTTP API, the web pages and the workers. The extra `service` installs what it needs."""
