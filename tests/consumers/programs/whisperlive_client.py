"""Streams a file with whisper-live's client: port, file, mode (`play`, `hang`)."""

import json
import sys
import types
import wave

# The client imports the library of the microphone, which this program does not use, and which
# would have to be compiled.
sys.modules["pyaudio"] = types.ModuleType("pyaudio")

from whisper_live.client import StreamingTranscriptionClient  # noqa: E402

port, path, mode = sys.argv[1:4]
with wave.open(path) as file:
    audio = file.readframes(file.getnframes())


def show(kind):
    def handler(text, segments):
        print(json.dumps({"type": kind, "text": text, "segment": segments[-1]}), flush=True)

    return handler


client = StreamingTranscriptionClient(
    "127.0.0.1",
    int(port),
    lang="en",
    on_partial_transcript=show("partial"),
    on_committed_transcript=show("final"),
)
with client:
    print(json.dumps({"type": "ready"}), flush=True)
    for at in range(0, len(audio), 8192):
        client.send(audio[at : at + 8192], pcm_format="int16")
    if mode == "hang":
        import time

        time.sleep(600)
print(json.dumps({"type": "transcript", "text": [one["text"] for one in client.transcript]}))
