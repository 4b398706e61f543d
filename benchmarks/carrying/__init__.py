"""Parts of `benchmarks/calls.py`: many phones and many browsers at once, and what a process uses meanwhile."""
