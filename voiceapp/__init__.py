"""The wiring: settings, processes, adapters of the ports."""
