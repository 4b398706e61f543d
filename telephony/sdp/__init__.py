"""SDP (RFC 8866), offer/answer (RFC 3264) and keys of SRTP (RFC 4568), without I/O.

    description.parse(data: bytes) -> Description              SdpError: what was wrong, and in which line
    description.write(description) -> bytes
    offer_answer.Capabilities(address, port, codecs=(PCMU, PCMA), dtmf=True, direction=SENDRECV, their_order=False,
                              srtp=SrtpPolicy.OFF, new_key=secrets.token_bytes)     codecs: also G722, OPUS, best first
    offer_answer.answer(offer: bytes, capabilities, previous=None) -> Agreed | NotAcceptable
    offer_answer.hear(offer, capabilities, previous=None) -> Heard | NotAcceptable    .remote; then, when our port is known:
    offer_answer.reply(heard, capabilities) -> Agreed         both are what `answer` does
    offer_answer.offer(capabilities, previous=None, direction=None) -> Offer        Offer.sdp: bytes
    offer_answer.accept_answer(offer: Offer, answer: bytes) -> Agreed | NotAcceptable

`previous` is the last `Agreed` or `Offer` of the same dialog: version, payload types, keys and m= lines go on from it.
`Agreed`: sdp (bytes to send), remote address and port, codec, payload types of each direction, `accepted` (all that
may come), digits (RFC 4733) and their clock, comfort noise, direction (ours), ptime_ms, RTCP's place, `crypto` (None:
plain RTP), what they want of our Opus. Keys show in no `repr`; `sdp` has them, so it is never logged.
`NotAcceptable`: reason and the value of a Warning header, for a 488.
"""
