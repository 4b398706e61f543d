"""Flow, context and responder."""
