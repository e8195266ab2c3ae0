"""Which key or token is valid, and what it allows."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from stream.config import ServerConfig
from stream.errors import UsageError
from stream.server.keys.grants import ANYONE, API_KEY, Grant, Token
from stream.server.keys.key_file import Key, add_key, revoke_key
from stream.server.keys.keyring import Keyring
from stream.server.keys.signing import packed


class Clock:
    """Seconds since 1970 that a test sets."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def test_without_keys_everybody_may_do_everything_but_record() -> None:
    keyring = Keyring(ServerConfig())
    for shown in (None, "", "anything", "ek_x.y"):
        assert keyring.grant_of(shown) == Grant(ANYONE)
    grant = Grant(ANYONE)
    assert [grant.may(p) for p in ("stream", "upload", "administer")] == [True] * 3  # type: ignore[arg-type]
    assert not grant.may("record")


def test_the_simple_key_may_do_everything() -> None:
    keyring = Keyring(ServerConfig(api_key="sésame"))
    assert keyring.grant_of("sésame") == Grant(API_KEY)
    assert Grant(API_KEY).may("record")
    for shown in (
        None,
        "",
        "sesame",
        "sésame ",
        "dst_",
        "ek_",
        "\udcff",
        "dst_\udcff.\udcff",
        "ek_\udcff",
    ):
        assert keyring.grant_of(shown) is None


def test_the_simple_key_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("sesame\n")
    assert Keyring(ServerConfig(api_key_file=path)).grant_of("sesame") == Grant(API_KEY)
    path.write_text(" \n")
    with pytest.raises(UsageError, match="is empty"):
        Keyring(ServerConfig(api_key_file=path))
    with pytest.raises(UsageError, match="cannot be read"):
        Keyring(ServerConfig(api_key_file=tmp_path / "none"))
    with pytest.raises(UsageError, match="both set"):
        ServerConfig(api_key="x", api_key_file=path)


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_key_is_refused(blank: str) -> None:
    with pytest.raises(UsageError, match="api_key is empty"):
        ServerConfig(api_key=blank)


def test_keys_of_a_file_beside_the_simple_one(file: Path) -> None:
    secret = add_key(file, Key(name="desk", may=("stream",)))
    keyring = Keyring(ServerConfig(keys=file, api_key="simple"))
    grant = keyring.grant_of(secret)
    assert grant
    assert (grant.name, grant.may("stream"), grant.may("upload")) == ("desk", True, False)
    assert keyring.grant_of("simple") == Grant(API_KEY)
    assert keyring.grant_of(grant.rights.sha256) is None
    assert Keyring(ServerConfig(keys=file)).grant_of(None) is None


def test_a_file_without_keys_lets_nobody_in(file: Path) -> None:
    file.write_text("")
    keyring = Keyring(ServerConfig(keys=file))
    assert keyring.required
    assert keyring.grant_of(None) is None
    with pytest.raises(UsageError, match="cannot be read"):
        Keyring(ServerConfig(keys=file.with_name("none.toml")))


def test_the_file_is_read_again_when_it_changes(file: Path) -> None:
    first = add_key(file, Key(name="first"))
    keyring = Keyring(ServerConfig(keys=file))
    assert not keyring.reload_if_changed()
    second = add_key(file, Key(name="second"))
    assert keyring.grant_of(second) is None
    assert keyring.reload_if_changed()
    old, new = keyring.grant_of(first), keyring.grant_of(second)
    assert old
    assert new
    revoke_key(file, "first")
    assert keyring.reload_if_changed()
    assert keyring.grant_of(first) is None
    assert not keyring.still_valid(old)
    assert keyring.still_valid(new)
    add_key(file, Key(name="first"))  # another key of the same name
    keyring.reload_if_changed()
    assert not keyring.still_valid(old)


def test_a_file_that_breaks_changes_nothing(file: Path) -> None:
    secret = add_key(file, Key(name="desk"))
    keyring = Keyring(ServerConfig(keys=file))
    content = file.read_text()
    for change in (lambda: file.write_text("[[key\n"), file.unlink):
        change()
        assert not keyring.reload_if_changed()
        assert keyring.grant_of(secret)
    file.write_text(content.replace("desk", "renamed"))
    assert keyring.reload_if_changed()
    grant = keyring.grant_of(secret)
    assert grant
    assert grant.name == "renamed"


def test_a_key_expires(file: Path) -> None:
    clock = Clock()
    expires = datetime.fromtimestamp(clock.now + 60, UTC)
    secret = add_key(file, Key(name="guest", expires=expires))
    keyring = Keyring(ServerConfig(keys=file), clock)
    grant = keyring.grant_of(secret)
    assert grant
    token = keyring.token(Token(key="guest", purpose="stream", exp=clock.now + 600))
    assert keyring.grant_of(token)
    clock.now += 60
    assert keyring.grant_of(secret) is None
    assert keyring.grant_of(token) is None
    assert not keyring.still_valid(grant)


def test_a_token_is_valid_for_its_time_and_its_purpose(file: Path) -> None:
    clock = Clock()
    add_key(file, Key(name="desk", read_rooms=("*",)))
    keyring = Keyring(ServerConfig(keys=file), clock)
    stream = Token(key="desk", purpose="stream", room="standup", exp=clock.now + 10)
    read = Token(key="desk", purpose="read", room="standup", exp=clock.now + 10)
    speaker, reader = keyring.grant_of(keyring.token(stream)), keyring.grant_of(keyring.token(read))
    assert speaker
    assert reader
    assert (speaker.may("stream"), reader.may("stream")) == (True, False)
    for permission in ("upload", "administer", "record"):
        assert not speaker.may(permission)  # type: ignore[arg-type]
        assert not reader.may(permission)  # type: ignore[arg-type]
    assert speaker.may_speak("standup", exists=False, owner=None)
    assert not speaker.may_speak("other", exists=False, owner=None)
    assert not speaker.may_stream_alone()
    assert not speaker.may_read("standup", exists=True, owner="desk")
    assert reader.may_read("standup", exists=True, owner="desk")
    assert not reader.may_read("other", exists=True, owner="desk")
    assert not reader.may_speak("standup", exists=True, owner="desk")
    assert not speaker.may_change("desk")
    assert not reader.may_change("desk")
    clock.now += 10
    assert keyring.grant_of(keyring.token(stream)) is None


def test_a_token_never_allows_more_than_its_key(file: Path) -> None:
    add_key(file, Key(name="listener", may=(), open_rooms=()))
    keyring = Keyring(ServerConfig(keys=file), Clock())
    token = Token(key="listener", purpose="stream", room="standup", exp=Clock.now + 10)
    grant = keyring.grant_of(keyring.token(token))
    assert grant
    assert not grant.may("stream")
    assert not grant.may_speak("standup", exists=True, owner="boss")
    for name in ("nobody", "", "api-key"):
        other = msgspec.structs.replace(token, key=name)
        assert keyring.grant_of(keyring.token(other)) is None


def test_a_changed_token_is_not_valid(file: Path) -> None:
    add_key(file, Key(name="desk"))
    keyring = Keyring(ServerConfig(keys=file))
    exp = 4e9
    text = keyring.token(Token(key="desk", purpose="stream", room="a", exp=exp))
    payload, _, signature = text.removeprefix("dst_").partition(".")
    forged = packed(Token(key="desk", purpose="stream", room="b", exp=exp))
    for wrong in (
        f"dst_{forged}.{signature}",
        f"dst_{payload}.{'0' * 64}",
        f"dst_{payload}.",
        f"dst_{payload}",
        f"dst_{payload}.{signature}x",
        f"ek_{payload}.{signature}",
        "dst_ü.ü",
        "dst_" + "." * 1000,
    ):
        assert keyring.grant_of(wrong) is None
    assert Keyring(ServerConfig(keys=file)).grant_of(text) is None  # another secret


def test_short_lived_keys_of_protocols_have_the_rights_of_their_maker(file: Path) -> None:
    clock = Clock()
    secret = add_key(file, Key(name="desk", may=("stream",)))
    keyring = Keyring(ServerConfig(keys=file), clock)
    maker = keyring.grant_of(secret)
    assert maker
    payload = packed({"exp": clock.now + 60, "session": {}})
    short = f"ek_{payload}.{keyring.sign_for(maker, payload)}"
    grant = keyring.grant_of(short)
    assert grant
    assert grant.rights == maker.rights
    assert [grant.may(p) for p in ("stream", "upload", "administer")] == [True, False, False]  # type: ignore[arg-type]
    assert grant.may_stream_alone()
    assert not grant.may_read("room", exists=True, owner="desk")
    assert not grant.may_change("desk")
    longer = packed({"exp": clock.now + 6000})
    assert keyring.grant_of(f"ek_{longer}.{keyring.sign_for(maker, payload)}") is None
    for junk in ("ek_", "ek_.", "ek_..", f"ek_{payload}", f"dst_{short.removeprefix('ek_')}"):
        assert keyring.grant_of(junk) is None
    nonsense = packed([1])
    assert keyring.grant_of(f"ek_{nonsense}.{keyring.sign_for(maker, nonsense)}") is None
    revoke_key(file, "desk")
    keyring.reload_if_changed()
    assert keyring.grant_of(short) is None


def test_the_secret_is_made_once_and_shared(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    first = Keyring(ServerConfig(api_key="k", secret_file=path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = first.token(Token(key="api-key", purpose="stream", exp=4e9))
    second = Keyring(ServerConfig(api_key="k", secret_file=path))
    assert second.grant_of(text)
    assert first.signer.sign("resume", "s1") == second.signer.sign("resume", "s1")
    assert first.signer.sign("resume", "s1") != first.signer.sign("dst_", "s1")
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_secret_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("short")
    path.chmod(0o600)
    with pytest.raises(UsageError, match="fewer than 32"):
        Keyring(ServerConfig(secret_file=path))
    path.write_text("x" * 64)
    path.chmod(0o644)
    if os.name == "posix":
        with pytest.raises(UsageError, match="everybody can read"):
            Keyring(ServerConfig(secret_file=path))
    with pytest.raises(UsageError, match="cannot be read"):
        Keyring(ServerConfig(secret_file=tmp_path / "none" / "secret"))
