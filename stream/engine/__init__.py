"""Models and batching: windows in, hypotheses out."""
