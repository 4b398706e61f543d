"""Calls and media; knows nothing of AI."""
