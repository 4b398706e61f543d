"""SIP (RFC 3261) without I/O; sockets live in `transport` alone.

One `SipEngine` serves all calls of a node. Bytes, flows and `now` (monotonic seconds) go in; datagrams,
events and the next deadline come out. Bodies are `bytes`; headers are `(name, value)` pairs of `str`.

    engine.SipEngine(settings: core.EngineSettings, ids: Ids)  ids.TokenIds(os.urandom) for real calls
      .receive(data, flow, now)    one datagram, or one message framed by `stream.StreamFramer`
      .timer(now) / .next_timer() -> float | None              .failed(flow, now)  send error, connection lost
      .to_send() -> list[(Flow, bytes)] / .events() -> list[SipEvent]            both drain
      .invite(target, *, from_, flow, sdp, now, to=None, headers=(), options=InviteOptions()) -> OutgoingSession
      .options(target, *, from_, flow, now) -> str             id that comes back in `OptionsAnswered`
      .register(registrar, *, aor, flow, now, credentials, expires=3600, instance="") -> registration.Registration
        .id, .state, .expires_at, .service_route (for InviteOptions.routes), .stop(now), .move(flow, now)
      .restore(snapshot, now) -> Session                       a dialog as `session.snapshot()` gave it
      .availability: Callable[[Request], options.Availability]   port: what OPTIONS and new INVITEs are told
      .authority: auth.Authority       port: who is let in, dropped or challenged; None: everybody, but nobody registers
      .bindings: registrar.Bindings    .of(aor, now) -> Bindings (contact, flow, path) of phones that were accepted
      .counters: Counter[str]                                  refusals and drops by reason
    session.InviteOptions(credentials=None, routes=(), replaces=None, session_expires=None, reliable="supported", reply_s=None)
    session.Session        call_id, flow, phase, request (the INVITE), local, remote: NameAddr, replaces: Replaces
      .bye(now, *, reason="", headers=())                      from every phase: BYE, CANCEL or 603; idempotent
      .reinvite(sdp, now)                                      -> ReinviteAnswered | ReinviteRejected; 491 is retried
      .update(sdp | None, now)                                 the same by UPDATE, before the answer too
      .accept_reinvite(sdp, now) / .reject_reinvite(status, now, *, headers=())   re-INVITE, UPDATE, offer in PRACK
      .ack(sdp, now)                                           our answer to an offer in their response
      .info(content_type, body, now)                           .snapshot() -> dict
      .allows(method) -> bool                                  .use_credentials(credentials)
      .refer(refer_to, now, *, referred_by="", replaces=None)  -> ReferProgress ..., ReferEnded
      .accept_refer(now) / .notify_refer(status, reason, now) / .reject_refer(status, now)
    session.IncomingSession(Session)                           username: who proved it by digest, or None
      .ring(now, *, status=180, sdp=None, headers=(), reliable=None)   180 or 183; with SDP: early media
      .answer(sdp, now, *, headers=())                         200; without an offer in the INVITE, `sdp` is ours
      .reject(status, now, *, reason="", headers=())
    session.OutgoingSession(Session)
      .cancel(now, *, reason="")
    events: IncomingInvite(session, sdp | None, replaces)      answer or reject it; 100 was sent already
      InviteAcked(session, sdp | None)                         sdp: the answer to our late offer
      ReinviteReceived(session, sdp | None)                    accept or reject it; None asks for our offer
      ReinviteAcked(session, sdp | None), ReinviteAnswered(session, sdp | None), ReinviteRejected(session, status, reason)
      Provisional(session, status, reason, sdp | None, fork), Answered(session, sdp | None)
      ProvisionalAnswered(session, sdp | None)                 the PRACK of a 18x that held our offer
      InfoReceived(session, content_type, body)                ReferReceived(session, refer: IncomingRefer)
      ReferProgress(session, status, reason), ReferEnded(session, outcome, status)   one end per `refer`
      OptionsAnswered(id, status)                              status 408: no answer, 503: transport failed
      RegistrationChanged(id, state, status, expires_at, retry_at), RegisterReceived(registration)
      Terminated(session, cause: Cause)                        exactly one per session; after it only Refer*:
        Cause(kind, status, reason, contacts of a 3xx); kind: `EndKind` LOCAL REMOTE CANCELLED REJECTED TIMEOUT TRANSPORT
    message.Request: method, uri, from_, to, call_id, cseq, body, headers.first(name) / .all(name),
      name_addrs(name) for P-Asserted-Identity, Diversion, ...; uri.number: user part, unescaped
    flow.Flow: transport (udp tcp tls ws wss), local (what the peer reaches: right for our SDP too), remote, connection,
      name (whom the certificate must be for); .reliable, .secure
    errors.CAUSES, cause_of_status, cause_of_q850, reason_header; SipStateError: the phase does not allow this verb
    transport.SipTransport(engine, on_event, settings: TransportSettings)
      await .start() / await .close()    .flush()              call flush() after using a verb outside of on_event
      .now() -> float                    .flow(transport, ip, port, name="") -> Flow     for `engine.invite`
      await .resolve(uri, transport=None, within=3.0) -> list[Flow], in failover order     .listening(transport)
    tls.TlsSettings; source_guard.SourceGuard(table: address -> Source | None): rates, faults, bans, before parsing
"""
