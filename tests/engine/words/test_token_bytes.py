"""The bytes that tokens spell."""

from stream.engine.checkpoints.checkpoint import Checkpoint
from stream.engine.words.token_bytes import BYTES, bytes_of


def test_every_byte_has_one_spelling() -> None:
    assert sorted(BYTES.values()) == list(range(256))


def test_a_special_token_spells_its_name() -> None:
    assert bytes_of("<|0.00|>日") == "<|0.00|>日".encode()


def test_tokens_spell_their_text(tiny_checkpoint: Checkpoint) -> None:
    tokenizer = tiny_checkpoint.tokenizer
    text = " It was 5° — naïve: 你好 🙂!"
    tokens = tokenizer.encode(text, add_special_tokens=False).ids
    spelt = b"".join(bytes_of(tokenizer.id_to_token(token)) for token in tokens)
    assert spelt.decode() == text
