"""Wire protocols: messages in, a session driven, messages out. No I/O."""
