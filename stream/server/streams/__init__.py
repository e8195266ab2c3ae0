"""The open streams of a server: websocket and AudioSocket connections, parked and resumed."""
