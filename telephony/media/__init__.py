"""The media plane: one thread, 20 ms frames in four 5 ms sub-ticks, arrays over all calls. No I/O but its own UDP ports.

    plane = MediaPlane(MediaSettings(rtp_ports=(10000, 10002)), tap=tap)         # telephony.media.plane
    plane.start(loop, on_notices)          # thread; on_notices(list[Notice]) in the loop, once per sub-tick if any
    slot, port = plane.reserve_rtp(remote, nat=False)   # before the answer; NoMediaCapacityError -> 503; Remove gives back
    slot = plane.add_packet_slot(send, payload_type=111)   # Opus; send(bytes) in the loop; CodecUnavailableError
    plane.packet_arrived(slot, rtp_bytes)  # loop thread, plain RTP after SRTP; bounded, False = dropped
    voice = plane.add_voice(8000)          # or 16000, int16 mono; best the rate of the leg's codec
    plane.apply(StartRtp(slot, RtpParameters(...)), Route(slot, ((voice, 1.0),)), Listen(slot, True), Guard(voice, slot))
    # the codec of StartRtp makes the slot 8 or 16 kHz for life; ChangeRtp may change codec, address, direction, keys
    plane.apply(Enqueue(voice, "1.1.1", pcm, last=False))     # any thread, never blocks
    plane.apply(Flush(voice), Route(slot, ((supervisor, 1.0),)))   # take over: one sub-tick, nothing between
    plane.alive, plane.prioritised, plane.stats(), plane.stop()

Fast path: G.711 on narrow slots, compiled loops over arrays (`receiver`, `sender`). Objects per leg only for those that
need them: G.722, Opus (`coder`, `ordered`), SRTP (`telephony.rtp`), the rare (`legs`, `intake`). IPv6: `joined`.
Tests: `MediaPlane(settings, datagrams=MemoryDatagrams(...))` and `plane.step(now) -> list[Notice]` per 5 ms, no thread.
The process's main calls `sys.setswitchinterval(0.0005)`; the plane does not.
Handles `handles`, commands `commands`, notices `notices`, `RtpParameters`, `MediaSettings` `parameters`, `AudioTap`,
`FrameBatch` `ports`. Call-free: it knows slots and voices, not calls.
"""
