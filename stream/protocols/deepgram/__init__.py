"""Deepgram's protocols: `/v1/listen` (utterances) and `/v2/listen` (turns)."""
