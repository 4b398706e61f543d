"""Legs: one attachment of a call to the outside, over one transport."""
