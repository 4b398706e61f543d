"""Media-stream dialects of carriers, without I/O."""
