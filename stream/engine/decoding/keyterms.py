"""Names and terms that a client expects, made likelier while the model spells them.

Shallow fusion with a prefix tree (Zhao et al. 2019, "Shallow-Fusion End-to-End Contextual
Biasing"): a token that begins a term gets a small bonus on its logit, one that goes on spelling a
term already begun a larger one. The bonus sways the choice alone; what the model itself thought of
the token stays its log-probability, so that confidences and guards are not flattered. The terms are
no part of the prompt: there they were found no oftener, and the other words came out worse.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

BEGIN_BONUS = 2.0
"""On the logit of a term's first token: enough to win between two spellings that sound alike.
Measured together with the other: docs/decisions/009."""
GO_ON_BONUS = 5.0
"""On the logit of each token after it: the sound has been taken for the term's already."""

Encode = Callable[[str], Sequence[int]]


class Node:
    """A place in the tree: the tokens that may follow, and where they lead."""

    def __init__(self) -> None:
        self.children: dict[int, Node] = {}

    def add(self, tokens: Sequence[int]) -> None:
        """Add a way through the tree."""
        node = self
        for token in tokens:
            node = node.children.setdefault(token, Node())


class BoostKeyterms:
    """A rule on the logits of one row."""

    def __init__(self, terms: Iterable[str], encode: Encode) -> None:
        """Take the terms, and what turns text into tokens without special ones."""
        self.root = Node()
        for term in filter(None, map(str.strip, terms)):
            for spelling in {term, term[:1].upper() + term[1:]}:
                self.root.add(encode(f" {spelling}"))
        self.first = torch.tensor(list(self.root.children), dtype=torch.long)

    def apply(self, logits: Tensor, before: Sequence[Sequence[int]]) -> None:
        """Raise the logits (n, vocab_size) of what would begin a term or go on with one."""
        logits[:, self.first] += BEGIN_BONUS
        for position, said in zip(logits, before, strict=True):
            for token in self.going_on(said):
                position[token] += GO_ON_BONUS

    def going_on(self, said: Sequence[int]) -> set[int]:
        """Return the tokens that go on with a term whose beginning is the end of what was said."""
        begun: list[Node] = []
        for token in said:
            nodes = [self.root, *begun]
            begun = [node.children[token] for node in nodes if token in node.children]
        return {token for node in begun for token in node.children}
