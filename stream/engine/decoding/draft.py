"""What is said next, by what was said before: a draft that is read along with the model.

A window whose beginning has moved begins with a capital, or lacks a word, and all the rest of its
draft is right. So a draft is not done with at the first difference: what comes after it is proposed
again, from the place that the model has gone on to. (Copying from a reference to speed up decoding:
Yang et al. 2023, arXiv:2304.04487.)
"""

from collections.abc import Sequence

FIRST = 8
"""Tokens of a proposal after a difference; twice as many when they were all right. A pass costs
little more with so many, and four times as much with a whole draft."""
GUESSED = 4
"""Tokens of a proposal where it is but a guess that one token stands in place of another."""
BEHIND, AHEAD = 2, 8
"""How far from where it may stand a token is looked for in the draft."""


class Reference:
    """A draft, and the place in it where the model is."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = list(tokens)
        self._place = 0
        self._length = len(self._tokens)
        self._strange = 0
        """How many of the last tokens stood nowhere near their place."""

    def proposal(self, most: int) -> list[int]:
        """Return what is expected to come next, at most so many tokens."""
        start = self._place + self._strange
        return self._tokens[start : start + min(self._length, most)]

    def follow(self, proposed: int, accepted: int, said: int) -> None:
        """Go on to where the model is.

        Args:
            proposed: how many tokens it was given.
            accepted: how many of them it said, too.
            said: what it said after them.
        """
        all_right = accepted == proposed > 0
        self._length = 2 * max(proposed, FIRST) if all_right else FIRST
        if accepted and self._strange:  # the guess was right
            self._place, self._strange = self._place + self._strange, 0
        self._place += accepted
        found = self._find(said)
        if found is not None:
            self._place, self._strange = found + 1, 0
        else:
            self._strange += 1
            self._length = GUESSED if self._strange == 1 else 0

    def _find(self, token: int) -> int | None:
        """Return the place of a token that is nearest to where it may stand.

        The model has said `_strange` tokens since it was at `_place`, of the draft or besides it.
        """
        expected = self._place + self._strange
        near = range(max(0, self._place - BEHIND), min(expected + AHEAD, len(self._tokens)))
        places = [place for place in near if self._tokens[place] == token]
        return min(places, key=lambda place: abs(place - expected), default=None)
