"""Trusted trainings: data sets, graphs of models, and the processes that train them."""
