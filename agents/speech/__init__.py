"""Ports of speech and language, and what to do when one fails."""
