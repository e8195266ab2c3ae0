# /// script
# requires-python = ">=3.11"
# dependencies = ["distil-stream-client"]
# [tool.uv.sources]
# distil-stream-client = { path = ".." }
# ///
"""Transcribes a WAV file, without asyncio: `file.py FILE.wav [SERVER]`.

The audio is sent as fast as the server reads it.
"""

import sys
import wave

from distil_stream_client import Final, sync


def main(path: str, server: str) -> None:
    """Print the start and the text of each utterance."""
    with wave.open(path) as recording:
        if recording.getsampwidth() != 2:
            sys.exit("This example reads 16-bit WAV files.")
        rate, channels = recording.getframerate(), recording.getnchannels()
        audio = iter(lambda: recording.readframes(rate // 10), b"")
        for event in sync.transcribe(server, audio, sample_rate=rate, channels=channels):
            if isinstance(event, Final) and event.text:
                print(f"{event.start:7.2f}  {event.text}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8765")
