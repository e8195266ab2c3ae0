from stream.distil.draft_tokens import draft_tokens
from stream.distil.examples import Example
from tests.distil.small import small_teacher


def test_frequent_tokens_come_first_then_low_ids():
    vocabulary = small_teacher().vocabulary
    said = [Example(0, 0, 0, 8, tokens, "", -0.1, "") for tokens in ((30, 31, 30), (30, 31, 12))]
    assert draft_tokens(said, vocabulary, size=2) == (30, 31, vocabulary.end_of_text)
    assert draft_tokens(said, vocabulary, size=5) == (0, 1, 12, 30, 31, vocabulary.end_of_text)
    assert len(draft_tokens(said, vocabulary)) == vocabulary.end_of_text + 1
