"""The web pages: the same service as the API, for people with a browser."""
