"""The HTTP routes: the captions page, health, metrics, rooms, and OpenAI's transcription API."""
