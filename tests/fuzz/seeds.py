"""Good input beside the SIP messages: header values, session descriptions, WebSocket octets."""

from __future__ import annotations

HEADER_VALUES = [
    text.encode()
    for text in (
        "sip:alice:secret@gw.test:5070;transport=tls;lr;maddr=192.0.2.1?Subject=a%20b&Replaces=x",
        "sips:+49-12345@[2001:db8::1]:5061", "tel:+1-201-555-0123;phone-context=example.com;ext=7",
        '"A. \\"B\\" C" <sip:a@b.test>;tag=1928301774;expires=3600;q=0.7', "<sip:a@b>, Bob <sip:c@d;x=y>;z",
        "SIP/2.0/UDP first.test:4000;ttl=16;maddr=224.2.0.1;branch=z9hG4bKa7c6a8dlze.1;rport;received=::1",
        "SIP / 2.0 / WSS df7jal23ls0d.invalid;branch=z9hG4bK1", "4711 INVITE", "1 1 INVITE", "1800;refresher=uas", "90",
        'Digest realm="atlanta.com", domain="sip:boxesbybob.com", qop="auth,auth-int", nonce="f84f1", opaque="", stale=FALSE, algorithm=SHA-512-256',
        'Digest username="bob", realm="a\\"b", nonce="dcd9", uri="sip:b@c", qop=auth, nc=00000001, cnonce="0a4f", response="6629", opaque="5ccc"',
        "98732@sip.test;from-tag=r33th4x0r;to-tag=ff87ff;early-only", "active;expires=60;reason=noresource;retry-after=5",
        "<sip:c@d.test?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994&X-A=b>",
        "5 (I'm in a meeting);duration=3600", 'Q.850;cause=16;text="Terminated"', "56a390f3d2b7310023a2;encoding=hex",
        "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4 KDR=1 UNENCRYPTED_SRTCP",
    )
]  # fmt: skip

_COMMON = "v=0\r\no=- 20518 0 IN IP4 203.0.113.1\r\ns=-\r\n"
SDPS = [
    text.encode()
    for text in (
        f"{_COMMON}c=IN IP4 203.0.113.1\r\nt=0 0\r\nm=audio 54400 RTP/AVP 0 8 9 13 101\r\na=rtpmap:0 PCMU/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=maxptime:40\r\na=sendrecv\r\na=rtcp-mux\r\n",
        f"{_COMMON}t=0 0\r\nm=audio 9 RTP/SAVP 111 0\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:111 opus/48000/2\r\n"
        "a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=sendonly\r\n"
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4\r\n"
        "a=crypto:2 AES_256_CM_HMAC_SHA1_80 inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVmMTIzNDU2Nzg5MDEyMzQ=\r\n",
        f"{_COMMON}c=IN IP4 0.0.0.0\r\nb=AS:64\r\nt=0 0\r\na=inactive\r\nm=audio 0 RTP/AVP 8\r\nm=video 9 RTP/SAVPF 96\r\n"
        "a=rtpmap:96 VP8/90000\r\na=mid:1\r\na=group:BUNDLE 0 1\r\nk=prompt\r\n",
        f"{_COMMON}c=IN IP4 224.2.1.1/127/3\r\nr=7d 1h 0 25h\r\nz=0 -1h\r\nm=audio 49170/2 RTP/AVP 18 97\r\na=fmtp:18 annexb=no\r\n",
    )
]  # fmt: skip

WEBSOCKET_UPGRADE = (
    b"GET /sip HTTP/1.1\r\nHost: gw.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: https://desk.test\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
)
_MASK = b"\x00\x00\x00\x00"
WEBSOCKET_FRAMES = [
    WEBSOCKET_UPGRADE,
    b"\x81\x85" + _MASK + b"hello",
    b"\x01\x83" + _MASK + b"hel" + b"\x80\x82" + _MASK + b"lo",
    b"\x89\x84" + _MASK + b"ping" + b"\x8a\x80" + _MASK,
    b"\x88\x82" + _MASK + b"\x03\xe8",
    b"\x82\xfe\x01\x00" + _MASK + bytes(256),
    b"\x82\xff" + bytes(4) + b"\x00\x01\x00\x01" + _MASK,
]
