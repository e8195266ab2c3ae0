"""A client of the distil-stream server; knows the wire protocol and nothing of the server."""
