"""The routes of the web pages, one module for each page and the forms on it."""
