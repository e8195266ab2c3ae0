"""distil-stream: a real-time streaming transcription server."""
