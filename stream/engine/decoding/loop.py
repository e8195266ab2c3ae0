"""The decode loop: decodes a batch of encoded windows to tokens.

Decoding is greedy, and each row has its own prompt and its own draft. A draft goes through the
decoder together with the prompt, in one pass; it is accepted as far as greedy decoding would choose
the same tokens, and decoding continues from the first difference. So a draft affects the cost, but
never the words. The same is true of an assistant, a smaller model that proposes the next tokens.
Rows are removed from the batch when they end.

The module handles neither audio nor text: its input is encoder positions, its output token ids.
"""

from collections.abc import Iterator, Sequence
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

from stream.engine.checkpoints.vocabulary import Vocabulary
from stream.engine.decoding.assistant import Assistant
from stream.engine.decoding.draft import DraftCursor
from stream.engine.decoding.logit_filters import filters_for
from stream.engine.decoding.rows import DecodeRequest, DecodeResult, Row, at_columns, forbid, ragged
from stream.engine.network.cross_attention import KeptAudio
from stream.engine.network.decoder_cache import DecoderCache
from stream.engine.network.transfers import fetch, send
from stream.engine.network.whisper import Whisper

LOGITS_AT_ONCE = 16
"""Number of tokens whose logits a CPU computes together (3 MB). Those of a whole batch of drafts
would be 70 MB, which do not fit into a cache and are read about six times."""
EXPECTED_ODDS = 20.0
"""How many times as probable as the expected language another language must be to be detected."""

__all__ = ["DecodeRequest", "DecodeResult", "decode"]


@torch.inference_mode()
def decode(
    model: Whisper,
    vocabulary: Vocabulary,
    audio: Tensor,
    n_positions: Tensor,
    requests: Sequence[DecodeRequest],
    alignment_heads: Sequence[tuple[int, int]] = (),
    *,
    temperature: float = 0.0,
    assistant: Assistant | None = None,
    kept: Sequence[Sequence[KeptAudio] | None] = (),
) -> list[DecodeResult]:
    """Decode a batch of encoded windows.

    Args:
        model: the network.
        vocabulary: vocabulary of the model.
        audio: (batch, n_positions, d_model) from `model.encode`.
        n_positions: (batch,) long, number of real positions of each row.
        requests: one for each row.
        alignment_heads: (layer, head) pairs whose attention is recorded; without any there are no
            word times.
        temperature: 0 is greedy; above 0 tokens are sampled and drafts are not used.
        assistant: a smaller model that proposes tokens, for a temperature of 0 only.
        kept: by row, the projected audio of earlier windows, as for `Whisper.prefill_cache`.

    Returns:
        One result for each request, in order.
    """
    limit = model.dims.max_tokens
    languages = detect_languages(model, vocabulary, audio, n_positions, requests)
    filters = {flag: filters_for(vocabulary, flag, model.device) for flag in (False, True)}
    rows = [
        Row(
            request=request,
            language=language,
            opening=opening_tokens(vocabulary, request, language, limit),
            cursor=DraftCursor(
                () if temperature > 0 else usable_draft(request, model.dims.vocab_size)
            ),
            n_positions=n,
            end_of_text=vocabulary.end_of_text,
            filters=filters[request.timestamps],
        )
        for request, language, n in zip(requests, languages, n_positions.tolist(), strict=True)
    ]
    longest = max(len(row.opening) + row.request.max_new_tokens for row in rows)
    cache = model.prefill_cache(audio, n_positions, min(longest, limit), alignment_heads, kept)
    if assistant is not None:
        assistant.make_room(cache.max_tokens)
    at_once = LOGITS_AT_ONCE if model.device.type == "cpu" else len(rows) * limit  # all
    active = rows
    while active:
        if assistant is not None and active[0].tokens:
            assistant.propose(active)
        states = model.read(*ragged([row.next_input() for row in active]), cache)
        if active is rows:
            record_no_speech(model, states, rows, vocabulary)
        for first, few in row_groups(active, at_once):
            own = slice(first, first + len(few))
            alignment = None if cache.alignment is None else cache.alignment[own]
            choose(model, states[own], few, alignment, temperature)
        cache.truncate(torch.tensor([row.known for row in active]))
        active = remove_ended(active, cache, assistant)
    return [row.result() for row in rows]


def detect_languages(
    model: Whisper,
    vocabulary: Vocabulary,
    audio: Tensor,
    n_positions: Tensor,
    requests: Sequence[DecodeRequest],
) -> list[str]:
    """Return the language of each row: the requested one, or with `auto` the detected one.

    A stream seldom changes its language, and detection in a short window is unreliable, so the
    probability of the expected language is multiplied by `EXPECTED_ODDS`.
    """
    if not vocabulary.multilingual:
        return ["en"] * len(requests)
    auto = [i for i, request in enumerate(requests) if request.language == "auto"]
    languages = [request.language for request in requests]
    if not auto:
        return languages
    codes = list(vocabulary.languages)
    tokens = [vocabulary.languages[code] for code in codes]
    start = torch.full((1, 1), vocabulary.start_of_transcript)
    for i in auto:
        # Rows begin at different positions, so each is decoded separately. The decoder attends only
        # to the positions of the row's own speech, although they were encoded with their context.
        own = slice(min(requests[i].language_from, int(n_positions[i]) - 1), None)
        left = n_positions[i : i + 1] - own.start
        cache = model.prefill_cache(audio[i : i + 1, own], left, max_tokens=1)
        logits = model.decode(start, torch.ones(1, dtype=torch.long), cache)[0, 0, tokens]
        if requests[i].expected_language in vocabulary.languages:
            logits[codes.index(requests[i].expected_language)] += log(EXPECTED_ODDS)
        languages[i] = codes[int(logits.argmax())]
    return languages


def opening_tokens(
    vocabulary: Vocabulary, request: DecodeRequest, language: str, limit: int
) -> list[int]:
    """Return the tokens with which a row begins: its prompt, the start, language and task.

    Args:
        vocabulary: vocabulary of the model.
        request: request of the row.
        language: code of the language; `request.language` may be `auto`.
        limit: greatest number of tokens in a row; the prompt uses at most half of it.

    Raises:
        ValueError: the model does not support the language.
    """
    opening = []
    if request.prompt:
        # Half of the context, as in Whisper's training: the other half is for the transcript.
        opening = [vocabulary.start_of_previous, *request.prompt[-(limit // 2 - 1) :]]
    opening.append(vocabulary.start_of_transcript)
    if vocabulary.multilingual:
        if language not in vocabulary.languages:
            raise ValueError(f"the model has no language {language!r}")
        translate = request.task == "translate"
        opening.append(vocabulary.languages[language])
        opening.append(vocabulary.translate if translate else vocabulary.transcribe)
    return opening if request.timestamps else [*opening, vocabulary.no_timestamps]


def usable_draft(request: DecodeRequest, vocab_size: int) -> list[int]:
    """Return the draft, cut at the token budget and before the first id outside the vocabulary."""
    draft = list(request.draft[: request.max_new_tokens - 1])
    strange = (i for i, token in enumerate(draft) if not 0 <= token < vocab_size)
    return draft[: next(strange, len(draft))]


def record_no_speech(
    model: Whisper, states: Tensor, rows: Sequence[Row], vocabulary: Vocabulary
) -> None:
    """Set `no_speech` of each row; `states` are those of the first pass."""
    starts = torch.tensor([row.opening.index(vocabulary.start_of_transcript) for row in rows])
    at_start = model.logits(at_columns(states, starts))  # (batch, vocab_size)
    for row, (p,) in zip(rows, fetch(at_start.softmax(-1)[:, vocabulary.no_speech]), strict=True):
        row.no_speech = p


def row_groups(rows: Sequence[Row], most: int) -> Iterator[tuple[int, list[Row]]]:
    """Divide rows into groups of neighbours with at most `most` tokens to choose.

    A row with more tokens forms its own group. Yields the index of the first row, and the rows.
    """
    first, few, tokens = 0, list[Row](), 0
    for i, row in enumerate(rows):
        if few and tokens + len(row.columns()) > most:
            yield first, few
            first, few, tokens = i, [], 0
        few.append(row)
        tokens += len(row.columns())
    yield first, few


def choose(
    model: Whisper,
    states: Tensor,
    rows: Sequence[Row],
    alignment: Tensor | None,
    temperature: float,
) -> None:
    """Choose the token after the last one of each row, and after each token of its proposal.

    The choices are passed to `Row.accept`.

    Args:
        model: the network.
        states: (batch, n_tokens, d_model) of this pass.
        rows: the rows of the batch.
        alignment: attention that the cache recorded, (batch, n_heads, max_tokens, n_positions);
            None if it records none.
        temperature: 0 chooses the most probable token; above 0, tokens are sampled.
    """
    places = [(i, column) for i, row in enumerate(rows) for column in row.columns()]
    batch_rows, columns = (
        send(torch.tensor(each), states.device) for each in zip(*places, strict=True)
    )
    candidates = model.logits(states[batch_rows, columns])  # (n, vocab_size)
    forbid(candidates, rows, [row.before() for row in rows])
    adjusted = apply_row_rules(candidates, rows)
    if temperature > 0:
        tempered = (adjusted / temperature).softmax(-1).cpu()
        drawn = [row.draw(p) for row, p in zip(rows, tempered, strict=True)]
        chosen = torch.tensor(drawn, device=candidates.device)
    else:
        chosen = adjusted.argmax(-1)
    scores = -F.cross_entropy(candidates, chosen, reduction="none")  # (n,) log-probabilities
    focus = torch.zeros_like(chosen)
    if alignment is not None:
        known = send(torch.tensor([row.known for row in rows]), states.device)
        focus = alignment[batch_rows, :, columns + known[batch_rows]].mean(1).argmax(-1)  # (n,)
    taken = iter(fetch(chosen, scores, focus))
    for row in rows:
        choices = [next(taken) for _ in row.columns()]
        row.accept([(int(token), score, int(position)) for token, score, position in choices])


def apply_row_rules(candidates: Tensor, rows: Sequence[Row]) -> Tensor:
    """Return the logits (n, vocab_size) after the rules of each row; the argument is not changed.

    Tokens are chosen by the result; their log-probabilities come from the unchanged logits. If no
    row has rules, the argument itself is returned.
    """
    if not any(row.request.rules for row in rows):
        return candidates
    adjusted = candidates.clone()
    first = 0
    for row in rows:
        last = first + len(row.columns())
        for rule in row.request.rules:
            rule.apply(adjusted[first:last], row.before())
        first = last
    return adjusted


def remove_ended(active: list[Row], cache: DecoderCache, assistant: Assistant | None) -> list[Row]:
    """Remove the rows that have ended from the batch, and return the others in their new order.

    The attention of the removed rows is copied from the cache first.
    """
    going = [i for i, row in enumerate(active) if row.ending is None]
    if cache.alignment is not None:
        for i, row in enumerate(active):
            if row.ending is not None:
                row.record_attention(cache.alignment[i])
    if going and len(going) < len(active):
        if assistant is not None:
            assistant.keep(going)
        going = cache.keep(going)
    return [active[i] for i in going]
