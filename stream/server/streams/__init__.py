"""The streams of a server: websocket connections, which may be resumed, and telephone calls."""
