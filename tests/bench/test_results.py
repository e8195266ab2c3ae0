"""The page of benchmarks: each command has its table, and the committed page is up to date."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from stream.bench.engine_report import SpeedRow
from stream.bench.load_steps import AgeRow, ContinuousRow, LoadRow
from stream.bench.longform_report import LongRow
from stream.bench.readers import ReadersRow
from stream.bench.rehearsal import VariantRow, sum_up
from stream.bench.results import BEGIN, END, page_of, readme_of, run
from stream.bench.results_headlines import headlines
from stream.bench.results_sections import SECTIONS
from stream.bench.runs import Run, write_run
from stream.errors import UsageError
from stream.evaluate.measures.repeats import Estimate
from tests.bench.test_runs import run_of

ROOT = Path(__file__).parents[2]

# What the commands print, made by their own classes: a renamed field fails here.
ENGINE = run_of(
    "distil-stream bench engine --data FOLDER --lengths 10",
    rows=[
        asdict(
            SpeedRow(
                window_s=10.0,
                system="ours",
                precision="int8",
                batch=1,
                draft="right",
                windows=8,
                wall_ms=213.4,
                cpu_ms=212.6,
                wall_ratio=3.6,
                cpu_ratio=6.01,
                decode_ms=None,
                batch_ratio=None,
                passes=1.1,
                drafted=30,
                accepted=30,
                changed=0,
                word_differences=None,
            )
        )
    ],
)
LONGFORM = run_of(
    "distil-stream bench longform --data FOLDER",
    rows=[
        asdict(LongRow(name, "int8", 6, 5.37, 4, 5, 6, 117.0, wall_s, 2.16, 2.0, None, None))
        for name, wall_s in (("ours, chunked", 67.0), ("faster-whisper, batched", 146.0))
    ],
)
LOAD = run_of(
    "distil-stream bench load --data FOLDER",
    carried={"ours": 4, "usual": 0},
    rows=[
        {
            **asdict(
                LoadRow(
                    system="ours",
                    streams=4,
                    audio_s=120.0,
                    cpu_s_per_audio_s=0.22,
                    final_ms={"p50": 789.0, "count": 9},
                    finals=9,
                    partials_per_s=0.48,
                    word_error_rate=5.24,
                    peak_mib=900,
                    feeder_late_ms=1.0,
                    player_late_p99_ms=1.0,
                    other_cores=0.0,
                    failures=0,
                    queue_ms={},
                    server={},
                )
            ),
            "late_ms": 864.0,
        }
    ],
    continuous=[asdict(ContinuousRow("ours", 60.0, 0.334, 1.03, 5.19, [AgeRow(0, 10, 0.2)]))],
)
REHEARSED = VariantRow(
    *("as it is", 8.69, 156, 15, 24, 2243, 0, 0, 0, 0.063),
    *(932.0, 1660.0, 900.0, 0.24),
)
REHEARSAL = run_of(
    "distil-stream bench rehearsal FOLDER/dev.jsonl",
    sets=[
        {
            "ways": "default",
            "offline": asdict(Estimate.of([8.43])),
            "rehearsal": [asdict(sum_up([REHEARSED], [8.43]))],
        }
    ],
)
READERS = run_of(
    "distil-stream bench readers talk.wav",
    readers=[asdict(ReadersRow(1000, 7, 1.0, 37.2, 147.0, 192.2, 0.117))],
)
SCORE = {
    "recordings": 1,
    "minutes": 2.0,
    "words": 50,
    "streamed": {"wer": 8.0, "substitutions": 2, "deletions": 1, "insertions": 1},
    "same-model": {"wer": 6.0},
}
EVALUATE = run_of(
    "distil-stream evaluate FOLDER/dev.jsonl",
    pace="real time",
    violations=0,
    suites={
        "speech": {
            "total": SCORE,
            "kinds": {},
            "groups": {"a group": SCORE},
            "latency_ms": {
                "word_to_commit": {"p50": 1503.0, "p90": 2000.0, "p95": 2500.0, "count": 50},
                "word_to_final": {"count": 0},
            },
            "stability": {"normalised_erasure": 0.0641, "unstable_partial_word_ratio": 0.025},
        },
        "silence": {
            "total": {},
            "kinds": {},
            "groups": {"music": {"minutes": 15.0, "words_per_hour": {"streamed": 0.0}}},
        },
    },
    cost=[{"system": "streamed", "suite": "speech", "cpu_s_per_audio_s": 0.621, "peak_mib": 968}],
)
MEANS = {
    "streamed": {
        "wer": {"mean": 8.5, "error": 0.5},
        "substitutions": {"mean": 2.5, "error": 0.5},
        "deletions": {"mean": 1.0, "error": 0.0},
        "insertions": {"mean": 1.0, "error": 0.0},
    }
}
REPEATED = replace(
    EVALUATE,
    summary={
        **EVALUATE.summary,
        "repeats": {
            "count": 2,
            "suites": {
                "speech": {
                    "scores": {"a group": MEANS},
                    "median_ms": {"word_to_commit": {"mean": 1503.0, "error": 12.0}},
                }
            },
        },
    },
)
RUNS = [ENGINE, LONGFORM, LOAD, REHEARSAL, READERS, EVALUATE]


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (
            ENGINE,
            "| distil-stream, int8 | 10 | 1 | right | 213 | 213 | 6.01 | | 1.1 | [1](#runs) |",
        ),
        (
            LONGFORM,
            "| distil-stream, chunked | 6 | 5.37 | 4/5/6 | 117 | 67 | 2.16 | | [1](#runs) |",
        ),
        (LOAD, "| distil-stream | 4 | 0.22 | 0.48 | 789 | 864 | 5.24 | [1](#runs) |"),
        (LOAD, "| distil-stream | 0.334 | 1.03 | 5.19 | [1](#runs) |"),
        (REHEARSAL, "| as it is | 8.69 | 0.26 | 156/15/24 | 0.063 | 932 | 1660 | 900 | 0.24 | [1]"),
        (READERS, "| 1000 | 100% | 37.2 | 147.0 | 192.2 | 0.117 | [1](#runs) |"),
        (EVALUATE, "| a group | 50 | 8.00 | 2/1/1 | 6.00 | | [1](#runs) |"),
        (REPEATED, "| a group | 25 | 8.50 ± 0.50 | 2.5/1/1 | | | [1](#runs) |"),
        (REPEATED, "| end of a word → committed | 1503 ± 12 | 2000 | 2500 | [1](#runs) |"),
        (EVALUATE, "| end of a word → committed | 1503 | 2000 | 2500 | [1](#runs) |"),
        (EVALUATE, "| 0.064 | 0.025 | 0 | [1](#runs) |"),
        (EVALUATE, "| music | 15 | 0 | | [1](#runs) |"),
        (EVALUATE, "| streamed, speech | 0.62 | 968 | [1](#runs) |"),
    ],
)
def test_figures_stand_in_their_table(run: Run, line: str) -> None:
    page = page_of([run])
    assert line in page
    assert f"    {run.command}\n" in page


def test_rows_are_as_wide_as_their_heads() -> None:
    shown = 0
    for section in SECTIONS:
        for one in RUNS:
            if one.kind in section.kinds:
                for row in section.rows(one.summary):
                    assert len(row) == len(section.columns), section.title
                    shown += 1
    assert shown > 10


def test_a_figure_comes_from_the_newest_run_that_has_it() -> None:
    newer = replace(LOAD, date="2027-01-01", summary={**LOAD.summary, "carried": {"ours": 3}})
    errors, *_, streams, hour = found = list(headlines([newer, *RUNS]))
    assert [one.answer for one in found] == ["8.00 %", "1.5 s", "0.06", "3", "67 s"]
    assert errors.comparison == "target: 6.50 % (same model offline: 6.00 %)"
    assert streams.run is newer
    assert hour.comparison.startswith("146 s: ")


def test_a_number_of_streams_is_a_lower_bound_if_no_more_were_tried() -> None:
    (streams,) = headlines([LOAD])
    assert streams.answer == "4 or more (5 was not tried)"


def test_systems_have_the_same_names_in_all_tables() -> None:
    stored = LOAD.summary["rows"][0]
    simple = replace(LOAD, summary={**LOAD.summary, "rows": [{**stored, "system": "usual"}]})
    assert "| faster-whisper, simple server | 4 |" in page_of([simple])
    assert not {"ours", "usual"} & set(page_of([simple]).replace("|", " ").split())


def test_a_readme_without_marks_is_an_error() -> None:
    with pytest.raises(UsageError, match="has no marks"):
        readme_of("no marks", RUNS)


def test_files_are_written_and_checked(tmp_path) -> None:
    for number, one in enumerate(RUNS):
        write_run(one, tmp_path / "runs" / f"{number}.json")
    page, readme = tmp_path / "page.md", tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    arguments = (tmp_path / "runs", page, readme)
    assert run(*arguments, check=True) == 1
    assert not page.exists()
    assert run(*arguments) == 0
    assert run(*arguments, check=True) == 0
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text


def test_the_committed_page_and_readme_are_what_the_stored_runs_say() -> None:
    folder, page = ROOT / "benchmarks" / "results", ROOT / "docs" / "benchmarks.md"
    assert run(folder, page, ROOT / "README.md", check=True) == 0
