"""WebRTC: aiortc behind one version-checked adapter."""
