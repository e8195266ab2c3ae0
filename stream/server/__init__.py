"""The server: sockets, HTTP and rooms around the protocols and the engine, with asyncio."""
