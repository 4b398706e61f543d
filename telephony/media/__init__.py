"""The media plane: one thread, 20 ms frames, arrays over all calls."""
