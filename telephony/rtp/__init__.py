"""RTP (RFC 3550) rules without I/O."""
