"""Turns the encoder's output into tokens: the decode loop, drafts, logit filters and guards."""
