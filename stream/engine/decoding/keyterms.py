"""Raises the probability of the names and terms that a client expects.

Shallow fusion with a prefix tree (Zhao et al. 2019, "Shallow-Fusion End-to-End Contextual
Biasing"): a token that begins a term gets a small bonus on its logit, and one that continues a
term already begun gets a larger one. The bonus changes the choice only; the log-probability stays
that of the model, so that confidences and guards are not biased. The terms are not part of the
prompt: there they were recognised no more often, and the other words got worse.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

BEGIN_BONUS = 2.0
"""Added to the logit of a term's first token: enough to choose between two spellings that sound
alike. Measured together with the other bonus: docs/decisions/009."""
GO_ON_BONUS = 5.0
"""Added to the logit of each later token: by then the audio has matched the term's beginning."""

Encode = Callable[[str], Sequence[int]]


class Node:
    """A node of the prefix tree: the next tokens, and their nodes."""

    def __init__(self) -> None:
        self.children: dict[int, Node] = {}

    def add(self, tokens: Sequence[int]) -> None:
        """Add the path of a token sequence."""
        node = self
        for token in tokens:
            node = node.children.setdefault(token, Node())


class BoostKeyterms:
    """A rule on the logits of one row."""

    def __init__(self, terms: Iterable[str], encode: Encode) -> None:
        """Build the tree of some terms.

        Args:
            terms: as text; empty ones are ignored.
            encode: turns text into tokens, without special ones.
        """
        self.root = Node()
        for term in filter(None, map(str.strip, terms)):
            for spelling in {term, term[:1].upper() + term[1:]}:
                self.root.add(encode(f" {spelling}"))
        self.first = torch.tensor(list(self.root.children), dtype=torch.long)

    def apply(self, logits: Tensor, before: Sequence[Sequence[int]]) -> None:
        """Raise the logits (n, vocab_size) of tokens that begin or continue a term."""
        logits[:, self.first] += BEGIN_BONUS
        for position, tokens in zip(logits, before, strict=True):
            for token in self.continuations(tokens):
                position[token] += GO_ON_BONUS

    def continuations(self, tokens: Sequence[int]) -> set[int]:
        """Return the tokens that continue a term whose beginning ends these tokens."""
        begun: list[Node] = []
        for token in tokens:
            nodes = [self.root, *begun]
            begun = [node.children[token] for node in nodes if token in node.children]
        return {token for node in begun for token in node.children}
