"""An address that guesses keys has to wait, and those who share it and have one do not."""

from stream.server.keys.guesses import MAX_ADDRESSES, TRIES, WINDOW_S, Guesses


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_guessing_is_slowed() -> None:
    clock = Clock()
    guesses = Guesses(clock)
    guesses.note("192.0.2.1", "right", right=True)
    for n in range(TRIES):
        assert guesses.wait_s("192.0.2.1", f"wrong-{n}") == 0
        guesses.note("192.0.2.1", f"wrong-{n}", right=False)
        clock.now += 1
    wait_s = guesses.wait_s("192.0.2.1", "perhaps")
    assert 0 < wait_s <= WINDOW_S
    assert guesses.wait_s("192.0.2.1", "right") == 0
    assert guesses.wait_s("192.0.2.2", "perhaps") == 0
    clock.now += wait_s
    assert guesses.wait_s("192.0.2.1", "perhaps") == 0


def test_rare_mistakes_are_not_slowed() -> None:
    clock = Clock()
    guesses = Guesses(clock)
    for _ in range(100):
        assert guesses.wait_s("192.0.2.1", "wrong") == 0
        guesses.note("192.0.2.1", "wrong", right=False)
        clock.now += WINDOW_S / (TRIES - 1)


def test_a_network_of_ipv6_is_one_client() -> None:
    guesses = Guesses()
    for n in range(TRIES):
        guesses.note(f"2001:db8:1:2::{n:x}", "wrong", right=False)
    assert guesses.wait_s("2001:db8:1:2:ffff::1", "x") > 0
    assert guesses.wait_s("2001:db8:1:3::1", "x") == 0
    for _ in range(TRIES):
        guesses.note("::ffff:192.0.2.9", "wrong", right=False)
    assert guesses.wait_s("::ffff:192.0.2.8", "x") == 0


def test_memory_is_bounded() -> None:
    guesses = Guesses()
    for n in range(MAX_ADDRESSES + 100):
        guesses.note(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", "wrong", right=False)
    assert len(guesses._seen) == MAX_ADDRESSES
    for n in range(1000):
        guesses.note("192.0.2.1", f"right-{n}", right=True)
    assert len(guesses._seen["192.0.2.1"].right) == 100
