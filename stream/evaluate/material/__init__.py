"""Audio that is played to a system: recordings, noise, telephone lines, and suites of them."""
