"""Recordings of any length: cut into windows that a model can hear, and joined again.

Like a session, each algorithm is a pure object between two ports: samples and hypotheses go in,
windows and segments come out (`algorithm`). `transcribing` drives it with a model in this thread;
the server drives it with its engine, behind the live streams.
"""
