"""WebSocket consumers of widget and desk."""
