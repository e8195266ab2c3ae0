from dataclasses import replace

from stream.bench.guards import Case, chosen_limit, removed, stays

SPEECH = Case("speech", "a", "some words", 9, -0.5, 4.1, 3.0, ("doubtful",), 8, 1)
BABBLE = replace(SPEECH, group="babble and music", diffusion_nats=5.0, right=0, wrong=9)


def test_the_limit_removes_hardly_any_recognised_speech():
    cases = [*[SPEECH] * 98, replace(SPEECH, diffusion_nats=4.55), BABBLE]
    assert chosen_limit(cases) == 4.1
    assert chosen_limit([*cases, *[replace(SPEECH, diffusion_nats=4.35)] * 3]) == 4.4
    # Results of which most words are wrong do not count.
    assert chosen_limit([*cases, *[replace(SPEECH, diffusion_nats=4.35, wrong=20)] * 9]) == 4.1


def test_guesses_are_removed_by_another_guard():
    guess = replace(BABBLE, faults=("doubtful", "unsure"))
    assert removed([SPEECH, BABBLE, guess], 4.6) == [BABBLE]


def test_guesses_stay_if_they_may_be_speech():
    guess = replace(SPEECH, mean_log_probability=-1.2, faults=("doubtful", "unsure"))
    assert stays(SPEECH, 4.6)
    assert stays(guess, 4.6)
    assert not stays(replace(guess, tokens=3), 4.6)
    assert not stays(replace(guess, diffusion_nats=5.0), 4.6)
