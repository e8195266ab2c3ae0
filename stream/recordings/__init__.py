"""Long-form transcription: cut recordings of any length into windows and join the results.

Each algorithm is a pure object, like a session: samples and hypotheses go in, windows and segments
come out (`long_form_algorithm`). `transcribing` runs it with a model in the calling process; the
server runs it with its engine, at a lower priority than the live streams.
"""
