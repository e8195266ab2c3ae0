"""Which tokens a student drafts with: those that its teacher said, and other likely ones."""

from collections import Counter
from collections.abc import Iterable

from stream.distil.examples import Example
from stream.engine.checkpoints.vocabulary import Vocabulary

SIZE = 12_288
"""A quarter of the vocabulary: of unseen English text it lacks about one token of twenty."""


def draft_tokens(
    examples: Iterable[Example], vocabulary: Vocabulary, size: int = SIZE
) -> tuple[int, ...]:
    """Return that many tokens, in order, or all the text there is.

    Those that were said most come first; then those of the lowest numbers, for a tokenizer numbers
    its tokens by how often it met them. The end of text and timestamps, special as they are, are
    always among them.
    """
    said = Counter(token for example in examples for token in example.tokens)
    text = range(vocabulary.end_of_text)
    likely = [token for token, _ in said.most_common() if token < vocabulary.end_of_text]
    chosen = list(dict.fromkeys([*likely, *text]))[:size]
    stamps = [token for token in said if token >= vocabulary.timestamp_begin]
    return tuple(sorted({*chosen, vocabulary.end_of_text, *stamps}))
