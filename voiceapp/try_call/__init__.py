"""A caller from outside: places a real call by SIP or WebRTC, speaks recorded turns, hears and measures the answers.

`caller` is the conversation (no I/O), `phone` and `browser` are the lines it is held on, `transcript` asks the node
what was understood. Used by `manage.py try_call`, by the tests of whole calls and by the benchmarks.
"""
