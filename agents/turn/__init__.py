"""Turn-taking: endpointing, barge-in, backchannel. Pure."""
