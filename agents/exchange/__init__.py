"""A call's side of the conversation: ears, voice and answers, between media and brain. `agents.pipeline` joins them."""
