"""Proposes tokens from a draft, and goes on with the draft after the model has differed from it.

If the start of a window has moved, its hypothesis may begin with a capital or lack a word, while
the rest of the draft is still right. So a draft is not dropped at the first difference: the tokens
after it are proposed again, from the place that the model has reached. (Copying from a reference to
speed up decoding: Yang et al. 2023, arXiv:2304.04487.)
"""

from collections.abc import Sequence

FIRST = 8
"""Tokens of a proposal after a difference; the number doubles when all were accepted. A pass costs
little more with 8 tokens, and four times as much with a whole draft."""
GUESSED = 4
"""Tokens of a proposal after a token that is not in the draft, which assumes a substitution."""
BEHIND, AHEAD = 2, 8
"""How many tokens before and after its expected place a token is searched for in the draft."""


class DraftCursor:
    """A draft, and the place in it that the model has reached."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = list(tokens)
        self._place = 0
        self._length = len(self._tokens)
        self._strange = 0
        """How many of the last tokens were not found near their expected place."""

    def proposal(self, most: int) -> list[int]:
        """Return the tokens that are expected next, at most `most` of them."""
        start = self._place + self._strange
        return self._tokens[start : start + min(self._length, most)]

    def advance(self, proposed: int, accepted: int, token: int) -> None:
        """Move to the place that the model has reached.

        Args:
            proposed: how many tokens were proposed to it.
            accepted: how many of them it accepted.
            token: the one that it chose after them.
        """
        all_right = accepted == proposed > 0
        self._length = 2 * max(proposed, FIRST) if all_right else FIRST
        if accepted and self._strange:  # it was a substitution
            self._place, self._strange = self._place + self._strange, 0
        self._place += accepted
        found = self._find(token)
        if found is not None:
            self._place, self._strange = found + 1, 0
        else:
            self._strange += 1
            self._length = GUESSED if self._strange == 1 else 0

    def _find(self, token: int) -> int | None:
        """Return the place of a token in the draft that is nearest to its expected place.

        The model has chosen `_strange` tokens since `_place`, in place of tokens of the draft or in
        addition to them.
        """
        expected = self._place + self._strange
        near = range(max(0, self._place - BEHIND), min(expected + AHEAD, len(self._tokens)))
        places = [place for place in near if self._tokens[place] == token]
        return min(places, key=lambda place: abs(place - expected), default=None)
