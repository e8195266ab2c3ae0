"""Measures that are computed from a record of events, one in each file."""
