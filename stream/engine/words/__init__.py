"""Turns decoded tokens into words: spelling, word times, and speech that no word covers."""
