"""Raises the probability of the names and terms that a client lists.

Shallow fusion with a prefix tree (Zhao et al. 2019, "Shallow-Fusion End-to-End Contextual
Biasing"): a token that begins a term gets a small bonus on its logit, and one that continues a
term gets a larger one. The bonus affects only the choice of tokens; log-probabilities are those of
the model, so that confidences and guards are not biased. The terms are not put into the prompt:
that did not improve their recognition, and made other words worse.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

BEGIN_BONUS = 2.0
"""Bonus on the logit of the first token of a term; it decides between two spellings that sound
alike. Both bonuses were measured together (docs/decisions/009)."""
GO_ON_BONUS = 5.0
"""Bonus on the logit of each later token, when the audio has matched the beginning of the term."""

Encode = Callable[[str], Sequence[int]]


class Node:
    """A node of the prefix tree: the possible next tokens with their nodes."""

    def __init__(self) -> None:
        self.children: dict[int, Node] = {}

    def add(self, tokens: Sequence[int]) -> None:
        """Add a token sequence to the tree, as a path from this node."""
        node = self
        for token in tokens:
            node = node.children.setdefault(token, Node())


class BoostKeyterms:
    """A `LogitFilter` for one row that raises the logits of key terms."""

    def __init__(self, terms: Iterable[str], encode: Encode) -> None:
        """Build the prefix tree of the terms.

        Args:
            terms: terms as text; empty ones are ignored.
            encode: returns the tokens of a text, without special tokens.
        """
        self.root = Node()
        for term in filter(None, map(str.strip, terms)):
            for spelling in {term, term[:1].upper() + term[1:]}:
                self.root.add(encode(f" {spelling}"))
        self.first = torch.tensor(list(self.root.children), dtype=torch.long)

    def apply(self, logits: Tensor, before: Sequence[Sequence[int]]) -> None:
        """Raise the logits (n, vocab_size), in place, of tokens that begin or continue a term."""
        logits[:, self.first] += BEGIN_BONUS
        for position, tokens in zip(logits, before, strict=True):
            for token in self.continuations(tokens):
                position[token] += GO_ON_BONUS

    def continuations(self, tokens: Sequence[int]) -> set[int]:
        """Return the tokens that continue a term if `tokens` end with the beginning of one."""
        begun: list[Node] = []
        for token in tokens:
            nodes = [self.root, *begun]
            begun = [node.children[token] for node in nodes if token in node.children]
        return {token for node in begun for token in node.children}
