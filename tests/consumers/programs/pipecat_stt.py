"""Runs a speech service of pipecat in a pipeline, as an agent would: port, file, service, mode.

The audio comes at the pace of speech, and a VAD's stop is sent where the file falls silent. Modes:
`play` prints the transcriptions; `hang` waits to be killed after the audio.
"""

import asyncio
import json
import sys
import wave

from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner

port, path, service, mode = sys.argv[1:5]
with wave.open(path) as file:
    audio, rate = file.readframes(file.getnframes()), file.getframerate()
SILENT_S = float(sys.argv[5]) if len(sys.argv) > 5 else 1.0
"""Seconds of silence at the end of the file."""
QUIET_S = 3.0


def make_service():
    if service == "deepgram":
        from pipecat.services.deepgram.stt import DeepgramSTTService

        return DeepgramSTTService(api_key="none", base_url=f"ws://127.0.0.1:{port}")
    if service == "flux":
        from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService

        return DeepgramFluxSTTService(api_key="none", url=f"ws://127.0.0.1:{port}/v2/listen")
    if service == "openai":
        from pipecat.services.openai.stt import OpenAIRealtimeSTTService

        return OpenAIRealtimeSTTService(
            api_key="none", base_url=f"ws://127.0.0.1:{port}/v1/realtime", turn_detection=False
        )
    from pipecat.services.assemblyai.stt import AssemblyAISTTService

    return AssemblyAISTTService(
        api_key="none",
        api_endpoint_base_url=f"ws://127.0.0.1:{port}/v3/ws",
        vad_force_turn_endpoint=True,
    )


class Printer(FrameProcessor):
    def __init__(self):
        super().__init__()
        self.news = asyncio.Event()
        self.complete = False

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            shown = {"type": "final", "text": frame.text, "finalized": frame.finalized}
            print(json.dumps(shown), flush=True)
            self.complete = frame.finalized or service != "deepgram"
            self.news.set()
        elif isinstance(frame, InterimTranscriptionFrame):
            print(json.dumps({"type": "interim", "text": frame.text}), flush=True)
            self.complete = False
            self.news.set()
        await self.push_frame(frame, direction)

    async def all_final(self):
        """Wait until the last transcription is a final and no other follows for `QUIET_S`."""
        while True:
            self.news.clear()
            try:
                await asyncio.wait_for(self.news.wait(), QUIET_S)
            except TimeoutError:
                if self.complete:
                    return


async def main():
    stt, printer = make_service(), Printer()
    parameters = PipelineParams(audio_in_sample_rate=rate)
    worker = PipelineWorker(Pipeline([stt, printer]), params=parameters, enable_rtvi=False)

    async def speak():
        step = rate // 50
        await asyncio.sleep(1)
        await worker.queue_frame(VADUserStartedSpeakingFrame())
        stop_at, stopped = len(audio) // 2 - round((SILENT_S - 0.2) * rate), False
        for at in range(0, len(audio) // 2, step):
            piece = audio[2 * at : 2 * (at + step)]
            await worker.queue_frame(InputAudioRawFrame(piece, rate, 1))
            if at >= stop_at and not stopped:
                stopped = True
                await worker.queue_frame(VADUserStoppedSpeakingFrame())
            await asyncio.sleep(0.02)
        if mode == "hang":
            print(json.dumps({"type": "hanging"}), flush=True)
            await asyncio.sleep(600)
        await asyncio.wait_for(printer.all_final(), 60)
        await worker.stop_when_done()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    speaking = asyncio.create_task(speak())
    await runner.run()
    await speaking


asyncio.run(main())
