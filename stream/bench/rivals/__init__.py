"""The systems that the bench commands compare this engine and this server with."""
