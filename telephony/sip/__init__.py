"""SIP (RFC 3261) without I/O; sockets live in transport alone."""
