"""Keys, tokens and their limits: what the client of a connection may do."""
