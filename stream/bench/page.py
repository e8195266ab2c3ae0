"""`bench page`: measures the time until the captions page shows a word as committed.

It also measures the page's share of that time. Recordings are the microphone of a real Chromium. A
probe in the page (`page_probe.js`) notes when audio is sent, when messages arrive and when they are
painted. A word counts as spoken at its last sample, and the time of a sample counts from the frame
of audio that was sent with the least delay. So the latency of the browser's audio capture, before
the page receives the sound, is not included. Word times are those of the model.
"""

import json
import shutil
import tempfile
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import soundfile
from rich.console import Console

from stream.core.audio import SAMPLE_RATE
from stream.errors import UsageError
from stream.evaluate.material.recordings import Recording, at_16_khz, read_manifest
from stream.evaluate.report.tables import table
from stream.evaluate.server_process import server_process

LABELS = {
    "spoken_to_committed": "word spoken → committed",
    "page": "of that, the page",
    "sound_to_sent": "sound → sent",
    "message_to_painted": "message → painted",
}

PROBE = Path(__file__).with_name("page_probe.js")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
GAP_S = 1.5
"""Seconds of silence before each recording and after the last."""
PATIENCE_MS = 120_000
TARGET_S = 2.5
TARGET_PAGE_MS = 50.0


def run(manifest: Path, model: str = "base", limit: int = 8) -> int:
    """Print the latencies of the captions page, and one JSON line; the exit status is 1 if a
    target is missed.

    Parameters
    ----------
    manifest
        Manifest (JSON lines) of recordings, which are played one after the other.
    model
        Name of the model of the server that is started.
    limit
        Number of recordings to play.
    """
    with tempfile.TemporaryDirectory() as folder, server_process(model, 1) as (url, _):
        wav = Path(folder) / "microphone.wav"
        seconds = write_microphone(read_manifest(manifest)[:limit], wav)
        probed = watch_page(url, wav, seconds)
    rows = figures(probed)
    shown = table("The captions page, milliseconds", "", "median", "90 %", "words")
    for name, values in rows.items():
        shown.add_row(
            LABELS[name], f"{median(values):.0f}", f"{ninth(values):.0f}", str(len(values))
        )
    Console(highlight=False).print(shown)
    summary = {name: round(median(values), 1) for name, values in rows.items()}
    committed_ms, page_ms = summary["spoken_to_committed"], summary["page"]
    met = committed_ms <= TARGET_S * 1000 and page_ms < TARGET_PAGE_MS
    print(json.dumps({"command": "bench page", "model": model, "median_ms": summary, "met": met}))
    return 0 if met else 1


def write_microphone(recordings: Sequence[Recording], wav: Path) -> float:
    """Write the joined recordings to a WAV file; return its duration in seconds."""
    gap = np.zeros(round(GAP_S * SAMPLE_RATE), np.float32)
    pieces = [piece for one in recordings for piece in (gap, at_16_khz(one.read()))]
    samples = np.concatenate([*pieces, gap])  # (n_samples,)
    soundfile.write(wav, samples, SAMPLE_RATE, subtype="PCM_16")
    return len(samples) / SAMPLE_RATE


def watch_page(url: str, wav: Path, seconds: float) -> dict[str, Any]:
    """Open the page in Chromium with a file as its microphone; return the data of the probe.

    Args:
        url: address of the page.
        wav: the file.
        seconds: duration of the file.

    Raises:
        UsageError: Playwright or Chromium is not installed.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise UsageError("Playwright is not installed: pip install playwright.") from None
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        raise UsageError("Chromium is not installed; apt-get install chromium.")
    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={wav}%noloop",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page()
        page.add_init_script(path=PROBE)
        page.goto(url)
        page.get_by_role("button", name="Start captions").click()
        page.wait_for_timeout(seconds * 1000)
        page.get_by_role("button", name="Stop").click()
        page.wait_for_selector("body[data-state=idle]", timeout=PATIENCE_MS)
        probed: dict[str, Any] = page.evaluate("window.probe")
        browser.close()
    return probed


def figures(probed: dict[str, Any]) -> dict[str, list[float]]:
    """Return the milliseconds of each word, by the names of `LABELS`.

    Raises:
        UsageError: the page showed no word.
    """
    rate = probed["rate"]
    ends_ms = [samples * 1000 / rate for _, samples in probed["sent"]]
    origin_ms = min(at - end for (at, _), end in zip(probed["sent"], ends_ms, strict=True))
    shown = sorted(probed["shown"], key=lambda one: float(one["came"]))
    finals = [one["message"] for one in shown if one["message"]["type"] == "final"]
    words = [word for final in finals for word in final["words"]]
    if not words:
        raise UsageError("No word was recognised; check that the manifest has recorded speech.")
    counts = np.maximum.accumulate([one["committed"] for one in shown])
    rows: dict[str, list[float]] = {name: [] for name in LABELS}
    for number, word in enumerate(words, 1):
        at = int(np.searchsorted(counts, number))
        end_ms = word["end"] * 1000
        frame = bisect_left(ends_ms, end_ms)
        if at == len(shown) or frame == len(ends_ms):
            continue
        sending = probed["sent"][frame][0] - (origin_ms + end_ms)
        painting = shown[at]["painted"] - shown[at]["came"]
        total = shown[at]["painted"] - (origin_ms + end_ms)
        for row, value in zip(
            rows.values(), (total, sending + painting, sending, painting), strict=True
        ):
            row.append(value)
    return rows


def ninth(values: Sequence[float]) -> float:
    """Return the ninth decile."""
    return quantiles(values, n=10)[-1] if len(values) > 1 else values[0]
