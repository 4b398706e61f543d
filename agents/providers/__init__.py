"""One file per vendor or engine."""
