"""The pure half: audio in, windows out, hypotheses in, captions out. No I/O and no clock."""
