"""Chooses the tokens that a student drafts with: its teacher's labels, and other likely ones."""

from collections import Counter
from collections.abc import Iterable

from stream.distil.examples import Example
from stream.engine.checkpoints.vocabulary import Vocabulary

SIZE = 12_288
"""A quarter of the vocabulary; about one in twenty tokens of unseen English text is not in it."""


def draft_tokens(
    examples: Iterable[Example], vocabulary: Vocabulary, size: int = SIZE
) -> tuple[int, ...]:
    """Return `size` text tokens, or all if there are fewer, and special tokens; sorted by id.

    The most frequent tokens of the examples are chosen first, then those with the lowest ids, since
    a tokenizer numbers its tokens by their frequency. The end of text, and the timestamps of the
    examples, are always included.
    """
    counts = Counter(token for example in examples for token in example.tokens)
    text = range(vocabulary.end_of_text)
    likely = [token for token, _ in counts.most_common() if token < vocabulary.end_of_text]
    chosen = list(dict.fromkeys([*likely, *text]))[:size]
    stamps = [token for token in counts if token >= vocabulary.timestamp_begin]
    return tuple(sorted({*chosen, vocabulary.end_of_text, *stamps}))
