"""Proposes tokens from a draft, and continues with the draft after a difference.

If the start of a window has moved, its hypothesis may begin with a capital letter or lack a word,
while the rest of the draft is still correct. So a draft is not dropped at the first difference: the
tokens after it are proposed again, from the position in the draft that the model has reached.
(Copying from a reference to speed up decoding: Yang et al. 2023, arXiv:2304.04487.)
"""

from collections.abc import Sequence

FIRST = 8
"""Number of tokens of a proposal after a difference; it doubles if all were accepted. A pass with 8
tokens costs little more than one with a single token, and a whole draft four times as much."""
GUESSED = 4
"""Number of tokens of a proposal after a token that is not in the draft. It is assumed that the
token replaces one of the draft."""
BEHIND, AHEAD = 2, 8
"""A token is searched for in the draft from this many tokens before the expected place to this many
after it."""


class DraftCursor:
    """A draft, and the position in it that the model has reached."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = list(tokens)
        self._place = 0
        self._length = len(self._tokens)
        self._strange = 0
        """Number of the last tokens that were not found near their expected place."""

    def proposal(self, most: int) -> list[int]:
        """Return the next tokens of the draft, at most `most`; may be empty."""
        start = self._place + self._strange
        return self._tokens[start : start + min(self._length, most)]

    def advance(self, proposed: int, accepted: int, token: int) -> None:
        """Move to the position in the draft that the model has reached.

        Args:
            proposed: number of tokens that were proposed.
            accepted: number of them that the model accepted.
            token: the token that the model chose after these.
        """
        all_right = accepted == proposed > 0
        self._length = 2 * max(proposed, FIRST) if all_right else FIRST
        if accepted and self._strange:  # so the last token was a substitution
            self._place, self._strange = self._place + self._strange, 0
        self._place += accepted
        found = self._find(token)
        if found is not None:
            self._place, self._strange = found + 1, 0
        else:
            self._strange += 1
            self._length = GUESSED if self._strange == 1 else 0

    def _find(self, token: int) -> int | None:
        """Return the position of a token in the draft nearest to the expected one; None if absent.

        Since `_place` the model has chosen `_strange` tokens that replaced tokens of the draft or
        were inserted, so positions from `_place` on are plausible.
        """
        expected = self._place + self._strange
        near = range(max(0, self._place - BEHIND), min(expected + AHEAD, len(self._tokens)))
        places = [place for place in near if self._tokens[place] == token]
        return min(places, key=lambda place: abs(place - expected), default=None)
