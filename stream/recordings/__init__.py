"""Long-form transcription: cut recordings of any length into windows and join the results.

Each algorithm is a pure object, like a session: samples and hypotheses go in, windows and segments
come out (`algorithm`). `transcribing` drives it with a model in the calling process; the server
drives it with its engine, at a lower priority than the live streams.
"""
