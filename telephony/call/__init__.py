"""The call: events, commands, state and its one owner, the session."""
