"""The governor: rules that every sentence and tool intent passes. Pure."""
