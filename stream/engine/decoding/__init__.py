"""From the encoder's output to tokens: the decode loop, drafts, logit filters and guards."""
