"""SDP (RFC 8866) and offer/answer (RFC 3264), without I/O.

    description.parse(data: bytes) -> Description              SdpError: what was wrong, and in which line
    description.write(description) -> bytes
    offer_answer.Capabilities(address, port, codecs=(PCMU, PCMA), ptime_ms=20, dtmf=True, session_id=1, direction=SENDRECV)
    offer_answer.answer(offer: bytes, capabilities, previous=None) -> Agreed | NotAcceptable
    offer_answer.offer(capabilities, previous=None, direction=Direction.SENDRECV) -> Offer      Offer.sdp: bytes
    offer_answer.accept_answer(offer: Offer, answer: bytes) -> Agreed | NotAcceptable

`previous` is the last `Agreed` or `Offer` of the same dialog: the version of the o= line then only grows.
`Agreed`: sdp (bytes to send), remote_address, remote_port, codec (name, rate_hz), send_payload_type,
receive_payload_type, dtmf_send_type / dtmf_receive_type (None: no RFC 4733), direction (ours), ptime_ms.
`NotAcceptable`: reason and the value of a Warning header, for a 488.
"""
