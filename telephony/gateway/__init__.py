"""Where calls enter a node: phones by SIP, browsers and the desk by requests on the bus.

`switchboard` makes a call of a leg and an agent; `phone`, `browser` and `desk` are its doors; `requests` binds them to
the bus. Nothing here waits for an agent: the way from INVITE to answer has no AI on it.
"""
