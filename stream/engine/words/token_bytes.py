"""The bytes that tokens spell: a token may hold a part of a character, which has no text.

The tokenizer spells each byte as a visible character (byte-level BPE, as in GPT-2): printable ones
as they are, and the others, in order, from U+0100 on.
"""

PLAIN = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), 256)]
OTHERS = [byte for byte in range(256) if byte not in PLAIN]
BYTES = {chr(byte): byte for byte in PLAIN} | {chr(256 + i): byte for i, byte in enumerate(OTHERS)}


def bytes_of(spelling: str) -> bytes:
    """Return the bytes of a token that the tokenizer spells so; a special token's are its name."""
    if any(character not in BYTES for character in spelling):
        return spelling.encode()
    return bytes(BYTES[character] for character in spelling)
