"""From decoded tokens to words: spelling, word times, and speech that no word covers."""
