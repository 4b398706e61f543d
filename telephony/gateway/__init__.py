"""Where calls enter and leave a node: phones by SIP, browsers and the desk by requests on the bus.

`switchboard` makes a call of a leg and an agent; `phone`, `browser` and `desk` are its doors, `dialler` is the way out;
`requests` and `outbound` bind them to the bus. `origins` says whom SIP comes from, `trunk_watch` how the trunks are,
`trunk_room` how many calls they may have. Nothing here waits for an agent: the way from INVITE to answer has no AI on it.
"""
