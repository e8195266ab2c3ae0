import torch

from stream.engine.decoding.keyterms import BEGIN_BONUS, GO_ON_BONUS, BoostKeyterms

LETTERS = " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def spell(text):
    return [LETTERS.index(letter) for letter in text]


def boosted(terms, said):
    """The letters whose logits rise after what was said, and by how much."""
    logits = torch.zeros(1, len(LETTERS))
    BoostKeyterms(terms, spell).apply(logits, [spell(said)])
    return {LETTERS[i]: value for i, value in enumerate(logits[0].tolist()) if value}


def test_the_beginning_of_a_term_is_made_a_little_likelier():
    assert boosted(["bob"], "hello") == {" ": BEGIN_BONUS}


def test_a_term_that_has_begun_is_boosted_in_upper_and_lower_case():
    assert boosted(["bob"], "hello ") == {" ": BEGIN_BONUS, "b": GO_ON_BONUS, "B": GO_ON_BONUS}


def test_a_complete_term_is_boosted_no_more():
    assert boosted(["bob"], " bob") == {" ": BEGIN_BONUS}


def test_faulty_text_is_not_used_as_context():
    assert boosted(["bob"], " bx") == {" ": BEGIN_BONUS}


def test_terms_that_share_a_beginning():
    assert boosted(["bob", "bone"], " bo") == {" ": BEGIN_BONUS, "b": GO_ON_BONUS, "n": GO_ON_BONUS}


def test_a_term_of_two_words_may_begin_inside_another():
    assert boosted(["ann bee", "bee cee"], " ann bee") == {" ": BEGIN_BONUS + GO_ON_BONUS}


def test_no_terms_change_nothing():
    assert boosted([], "hello ") == {}


def test_a_blank_is_no_term():
    assert boosted(["", " "], "hello ") == {}
