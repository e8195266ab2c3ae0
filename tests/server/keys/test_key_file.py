"""The file of keys: made by the command, read by the server, changed by hand."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stream.errors import UsageError
from stream.server.keys.key_file import Key, add_key, hash_of, read_keys, revoke_key

HASH = "0" * 64


def test_a_key_is_stored_as_its_hash_only(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    secret = add_key(file, Key(name="desk", may=("stream",), max_streams=2))
    assert secret not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (key,) = read_keys(file).values()
    assert (key.name, key.may, key.max_streams, key.sha256) == (
        "desk", ("stream",), 2, hash_of(secret),
    )  # fmt: skip
    assert len({add_key(file, Key(name=f"k{n}")) for n in range(3)}) == 3


def test_comments_and_other_keys_stay(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'# of the third floor\n[[key]]\nname = "old"  # Ada\nsha256 = "{HASH}"\n')
    add_key(file, Key(name="new"))
    text = file.read_text()
    assert text.startswith("# of the third floor\n")
    assert "# Ada" in text
    revoke_key(file, "old")
    assert [key.name for key in read_keys(file).values()] == ["new"]
    assert file.read_text().startswith("# of the third floor\n")
    revoke_key(file, "new")
    assert read_keys(file) == {}
    add_key(file, Key(name="again"))
    assert [key.name for key in read_keys(file).values()] == ["again"]


def test_every_field_survives(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    made = Key(
        name="all",
        may=("stream", "upload", "administer", "record"),
        open_rooms=("a-*",),
        speak_in=("b",),
        read_rooms=("c?",),
        labels=("Ada", "Grace *"),
        max_streams=0,
        max_uploads=1,
        audio_s_an_hour=7.5,
        expires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    secret = add_key(file, made)
    (read,) = read_keys(file).values()
    assert read.sha256 == hash_of(secret)
    for field in Key.__struct_fields__:
        assert field == "sha256" or getattr(read, field) == getattr(made, field), field


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[[key]]\nname = "x"\n', "sha256 of 'x' is not 64"),
        (f'[[key]]\nname = "x y"\nsha256 = "{HASH}"\n', "name 'x y' is invalid"),
        (f'[[key]]\nname = ""\nsha256 = "{HASH}"\n', "name '' is invalid"),
        (f'[[key]]\nname = "api-key"\nsha256 = "{HASH}"\n', "that of --api-key"),
        (f'[[key]]\nname = "x"\nsha256 = "{HASH.upper()}A"\n', "not 64"),
        (f'[[key]]\nname = "x"\nsha256 = "{HASH}"\nmay = ["fly"]\n', "not a valid file of keys"),
        (f'[[key]]\nname = "x"\nsha256 = "{HASH}"\nmax_streams = -1\n', "not a valid file"),
        (f'[[key]]\nname = "x"\nsha256 = "{HASH}"\nmax_stream = 1\n', "not a valid file"),
        (f'[[key]]\nname = "x"\nsha256 = "{HASH}"\nexpires = 2030-01-01T00:00:00\n', "not a valid"),
        ("keys = 3\n", "not a valid file"),
        ("[[key\n", "not valid TOML"),
        (f'[[key]]\nname = "x"\nsha256 = "{HASH}"\n' * 2, "there twice"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=sentence):
        read_keys(file)
    with pytest.raises(UsageError):
        add_key(file, Key(name="another"))
    assert file.read_text() == text


def test_what_the_commands_refuse(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    with pytest.raises(UsageError, match="cannot be read"):
        revoke_key(file, "nobody")
    add_key(file, Key(name="desk"))
    with pytest.raises(UsageError, match="has a key 'desk' already"):
        add_key(file, Key(name="desk"))
    with pytest.raises(UsageError, match="has no key 'nobody'"):
        revoke_key(file, "nobody")
    with pytest.raises(UsageError, match="invalid"):
        add_key(file, Key(name="../desk"))


def test_a_link_stays_a_link_and_a_mode_a_mode(tmp_path: Path) -> None:
    target, link = tmp_path / "real.toml", tmp_path / "keys.toml"
    target.touch(mode=0o640)
    target.chmod(0o640)
    link.symlink_to(target)
    add_key(link, Key(name="desk"))
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert "desk" in target.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys.toml", "real.toml"]


def test_expiry() -> None:
    now = datetime.now(UTC)
    key = Key(name="x", expires=now + timedelta(seconds=10))
    assert not key.expired(now.timestamp())
    assert key.expired(now.timestamp() + 10)
    assert not Key(name="x").expired(now.timestamp() + 1e9)
