"""The load of `latency.py`: callers who note each packet, what their notes mean, and the process they call from."""
