"""Chooses a way for each operation by timing the rows of `ways` on this machine.

The result of a way must be that of float32 within the bound of the way, and a way replaces the
default only if it is clearly faster. A choice is stored in the user's cache folder, and is valid as
long as the processor, its quota, the libraries and the kernels do not change. If the folder cannot
be written, each start measures again, which takes at most two seconds.
"""

import hashlib
import json
import logging
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numba
import torch

from stream.engine.checkpoints.embedded_models import cache_folder
from stream.engine.cores import CGROUP, cpu_quota, usable_cores, usable_cpus, whole_cores
from stream.engine.network.compiling import digest_of_sources
from stream.engine.network.layers import Decoder, Encoder
from stream.engine.network.probes import PROBES, Trial
from stream.engine.network.ways import OPERATIONS, Operation, Ways
from stream.errors import CheckpointError

CLEARLY_FASTER = 0.9
"""A way replaces the default if it takes less than this fraction of the default's time."""
BUDGET_S = 0.15
"""Seconds for the timing of one operation. For all of them, with their first calls, it is 2 s."""
HOPELESS = 3.0
"""A way that takes more than this multiple of the fastest way's time is not tried again."""
MOST_TRIES = 20
INSTRUCTIONS = (
    *("avx10_1", "amx_int8", "amx_bf16", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_f"),
    *("avx2", "sve2", "sve", "i8mm", "bf16", "dot", "asimd", "neon"),
)
"""Instruction sets that affect the speed, by PyTorch's names."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """The ways that were chosen, and the measurements."""

    ways: Ways
    ms: Mapping[str, Mapping[str, float]]
    """Best time of the probe in milliseconds, by operation and way. Ways that are refused are
    missing, as are operations with a single correct way."""
    refused: Mapping[str, Mapping[str, str]]
    """The reason why a way cannot be used, by operation and way."""

    def __str__(self) -> str:
        return "; ".join(
            f"{operation} {way}" + self._compared(operation, way)
            for operation, way in self.ways.items()
        )

    def _compared(self, operation: str, way: str) -> str:
        ms = self.ms.get(operation, {})
        others = [f"{name} {ms[name] / ms[way]:.2g}×" for name in ms if name != way]
        return f" ({', '.join(others)})" if others else ""


def choose_ways(encoder: Encoder, decoder: Decoder, *, again: bool = False) -> Choice:
    """Return the best ways on this machine for a network that is still in float32.

    The choice is read from the cache folder; if there is none, it is measured and stored.

    Args:
        encoder: the encoder, in float32.
        decoder: the decoder, in float32.
        again: whether to measure even if there is a stored choice.
    """
    key = cache_key(encoder, decoder)
    choice = None if again else read_choice(key)
    if choice is None:
        with warnings.catch_warnings(action="ignore"):  # an operator may warn that it is slow
            choice = measure_ways(encoder, decoder)
        keep_choice(key, choice)
    log.info("ways to compute on %s: %s", processor(), choice)
    return choice


@torch.inference_mode()
def measure_ways(
    encoder: Encoder,
    decoder: Decoder,
    operations: Mapping[str, Operation] = OPERATIONS,
    budget_s: float = BUDGET_S,
    clock: Callable[[], float] | None = None,
) -> Choice:
    """Time every correct way of every operation, and choose the best one of each.

    Args:
        encoder: the encoder, in float32.
        decoder: the decoder, in float32.
        operations: the table of operations and ways.
        budget_s: seconds for the timing of an operation.
        clock: returns seconds; None for the CPU time of this thread, or, for the operation
            `threads`, for wall-clock time.
    """
    ways: dict[str, str] = {}
    ms: dict[str, dict[str, float]] = {}
    refused: dict[str, dict[str, str]] = {}
    threads = torch.get_num_threads()
    for name, operation in operations.items():
        # A partial is computed on one core, so all operations but `threads` are timed on one.
        torch.set_num_threads(usable_cores() if name == "threads" else 1)
        try:
            trials, refused[name] = right_trials(name, operation, encoder, decoder)
            if len(trials) > 1:
                usual = time.perf_counter if name == "threads" else time.thread_time
                seconds = time_trials(trials, budget_s, clock or usual)
                ms[name] = {way: round(1000 * s, 4) for way, s in seconds.items()}
                ways[name] = fastest(operation, ms[name])
            else:  # if no way is correct, PyTorch's own result is the best there is
                ways[name] = next(iter(trials), operation.reference)
            if not trials:
                log.warning(
                    "no way to compute %s is accurate on this machine: %s", name, refused[name]
                )
        finally:
            torch.set_num_threads(threads)
    return Choice(ways, ms, refused)


def right_trials(
    name: str, operation: Operation, encoder: Encoder, decoder: Decoder
) -> tuple[dict[str, Trial], dict[str, str]]:
    """Return the trials of the correct ways, and for each other way the reason of its refusal."""
    probe = PROBES[name]
    reference = probe(encoder, decoder, operation.ways[operation.reference]).run()
    trials: dict[str, Trial] = {}
    refused: dict[str, str] = {}
    for way, row in operation.ways.items():
        if slow := row.too_slow and row.too_slow():
            refused[way] = slow
            continue
        try:
            trial = probe(encoder, decoder, row)
            answer = trial.run()
        except Exception as error:  # an operator that this build of PyTorch lacks
            refused[way] = f"it failed: {error}".splitlines()[0]
            continue
        off = float((answer - reference).norm() / reference.norm())
        if way != operation.reference and not off <= row.max_error:
            refused[way] = f"its error is {off:.2g}, more than {row.max_error:g}"
        elif operation.rows_alike and trial.alone and not torch.equal(answer, trial.alone()):
            refused[way] = "the result of a row depends on the other rows"
        else:
            trials[way] = trial
    return trials, refused


def time_trials(
    trials: Mapping[str, Trial], budget_s: float, clock: Callable[[], float]
) -> dict[str, float]:
    """Return the best time of each trial, in seconds.

    The trials run by turns until the budget is spent, each at least once.
    """
    best: dict[str, float] = {}
    over = time.perf_counter() + budget_s
    for tried in range(MOST_TRIES):
        for way, trial in trials.items():
            if tried and best[way] > HOPELESS * min(best.values()):
                continue
            began = clock()
            trial.run()
            took = clock() - began
            best[way] = min(took, best.get(way, took))
        if time.perf_counter() > over:
            break
    return best


def thread_seconds(run: Callable[[], object]) -> float:
    """Return the CPU seconds that a call uses on this thread; other load does not count."""
    began = time.thread_time()
    run()
    return time.thread_time() - began


def fastest(operation: Operation, ms: Mapping[str, float]) -> str:
    """Return the fastest way, or the default unless another way is clearly faster.

    Args:
        operation: the operation; its first way is the default.
        ms: time of each way that was measured.
    """
    default = next(iter(operation.ways))
    best = min(ms, key=lambda way: ms[way])
    if default in ms and ms[best] >= CLEARLY_FASTER * ms[default]:
        return default
    return best


def processor() -> str:
    """Return the name of the processor and those of `INSTRUCTIONS` that it has."""
    capabilities = torch.cpu.get_capabilities()
    name = str(capabilities.get("cpu_name", "Unknown"))
    if name == "Unknown":
        name = str(capabilities.get("architecture", "an unknown processor"))
    found = [one.upper().replace("_", "-") for one in INSTRUCTIONS if capabilities.get(one)]
    return f"{name}, {' '.join(found)}" if found else name


def machine() -> dict[str, str | float | None]:
    """Return the facts that determine the speed of this machine, by their names.

    They are its processor, cores, CPU quota and version of torch.
    """
    return {
        "processor": processor(),
        "cores": usable_cores(),
        "whole cores": whole_cores(usable_cpus()),
        "quota": cpu_quota(CGROUP),
        "torch": torch.__version__,
    }


def cache_key(encoder: Encoder, decoder: Decoder) -> str:
    """Return a hash of everything on which a choice depends: machine, libraries, code, sizes."""
    layer, other = encoder.layers[0], decoder.layers[0]
    facts = [
        dict(torch.cpu.get_capabilities()),
        usable_cores(),
        whole_cores(usable_cpus()),
        cpu_quota(CGROUP),
        torch.__version__,
        numba.__version__,
        digest_of_sources(),
        [tuple(weight.shape) for weight in (*layer.parameters(), *other.parameters())],
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def choice_file(key: str) -> Path:
    """Return the path of the file in which the choice for a key is stored."""
    return cache_folder() / "ways" / f"{key}.json"


def read_choice(key: str) -> Choice | None:
    """Return the stored choice for a key; None if it is missing, unreadable or out of date."""
    try:
        kept = Choice(**json.loads(choice_file(key).read_text()))
        known = all(kept.ways[name] in operation.ways for name, operation in OPERATIONS.items())
    except (OSError, ValueError, TypeError, KeyError, AttributeError, CheckpointError):
        return None
    return kept if known else None


def keep_choice(key: str, choice: Choice) -> None:
    """Store a choice for a key; if that is impossible, log it and continue."""
    try:
        file = choice_file(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{time.time_ns()}.part")
        part.write_text(json.dumps(asdict(choice), indent=1))
        part.replace(file)  # atomic, so that no process reads a partial file
    except (OSError, CheckpointError) as error:
        log.info("the ways to compute are measured at each start: %s", error)
