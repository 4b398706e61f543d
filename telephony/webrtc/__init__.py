"""WebRTC: aiortc behind one version-checked adapter (`peer`); SDP, reports and the datagram guard beside it."""
