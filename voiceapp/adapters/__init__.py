"""Adapters of the ports; bound in voiceapp.bootstrap."""
