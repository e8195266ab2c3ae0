"""The asyncio and websockets shell around the protocols and the engine."""
