"""The variants of a session's settings that `bench rehearsal` compares."""

from dataclasses import dataclass, replace

from stream.core.settings import SessionTuning, for_memory

ABOVE_ALL = 2.0
"""A threshold that no confidence reaches."""
NOW = SessionTuning()


@dataclass(frozen=True, slots=True)
class Variant:
    """Settings of a session: the server's tuning and the client's endpointing."""

    tuning: SessionTuning = NOW
    endpointing_ms: int = 500


AS_IT_IS = "as it is"
VARIANTS = {
    AS_IT_IS: Variant(),
    "nothing is committed before the final": Variant(replace(NOW, commit_partials=False)),
    "every word is recognised twice before it is committed": Variant(
        replace(NOW, sure_from=ABOVE_ALL)
    ),
    "unsure words are committed as soon as others": Variant(
        replace(NOW, unsure_delay_ms=NOW.commit_delay_ms)
    ),
    "unsure words wait for 8 s": Variant(replace(NOW, unsure_delay_ms=8000)),
    "words below 0.4 are unsure": Variant(replace(NOW, unsure_below=0.4)),
    "words below 0.7 are unsure": Variant(replace(NOW, unsure_below=0.7)),
    "two hypotheses are enough": Variant(
        replace(NOW, commit_delay_ms=0, unsure_delay_ms=0, sure_from=ABOVE_ALL)
    ),
    "every word is shown at once": Variant(
        replace(NOW, edge_ms=0, shown_from=0.0, first_shown_from=0.0)
    ),
    "cut-off words are not shown": Variant(replace(NOW, shown_from=0.0, first_shown_from=0.0)),
    "unsure first words are not shown": Variant(replace(NOW, first_shown_from=NOW.shown_from)),
    "no context": Variant(replace(NOW, context_s=0.0)),
    "6 s of context": Variant(replace(NOW, context_s=6.0)),
    "context after any pause": Variant(replace(NOW, context_pause_s=12.0)),
    "context after 2 s at most": Variant(replace(NOW, context_pause_s=2.0)),
    "context after 4 s at most": Variant(replace(NOW, context_pause_s=4.0)),
    "partials of 8 to 28 s": Variant(replace(NOW, max_partial_s=28.0, restart_partial_s=8.0)),
    "partials of 8 to 16 s": Variant(for_memory(NOW)),
    "partials of 8 to 16 s each half second": Variant(for_memory(replace(NOW, partial_hop_ms=500))),
    "partials of 8 to 12 s": Variant(replace(NOW, max_partial_s=12.0, restart_partial_s=8.0)),
    "partials of 15 s": Variant(replace(NOW, max_partial_s=15.0, restart_partial_s=15.0)),
    "partials of 8 s": Variant(replace(NOW, max_partial_s=8.0)),
    "partials of 6 s": Variant(replace(NOW, max_partial_s=6.0)),
    "a partial each half second": Variant(replace(NOW, partial_hop_ms=500)),
    "a partial a second from the start": Variant(replace(NOW, first_hop_ms=NOW.partial_hop_ms)),
    "endpointing of 300 ms": Variant(endpointing_ms=300),
    "endpointing of 800 ms": Variant(endpointing_ms=800),
    "cut at 30 s, never at a pause": Variant(endpointing_ms=10_000),
}
"""Variants that need the same windows are next to each other: only the first one costs time."""
