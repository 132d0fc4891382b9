"""The pages of the service: what the API does, for people with a browser."""
