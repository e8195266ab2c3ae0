import pytest

from stream.engine.network.ways import (
    DEFAULT_WAYS,
    OPERATIONS,
    as_setting,
    parse_ways,
    requested_ways,
)
from stream.errors import UsageError


def test_each_operation_has_its_reference_among_its_ways():
    for operation in OPERATIONS.values():
        assert operation.reference in operation.ways


def test_auto_leaves_the_choice_to_a_measurement():
    assert parse_ways("auto") is None


def test_the_first_ways_have_a_name():
    assert parse_ways("default") == DEFAULT_WAYS


def test_operations_that_are_not_named_take_the_default():
    ways = parse_ways("encoder_linear=float32, threads=one")
    assert ways == {**DEFAULT_WAYS, "encoder_linear": "float32", "threads": "one"}


def test_written_files_are_read_again():
    ways = {**DEFAULT_WAYS, "encoder_attention": "float32"}
    assert parse_ways(as_setting(ways)) == ways


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fast", "ways has no operation 'fast'; use auto, default, or OPERATION=WAY"),
        ("encoder=int8", "ways has no operation 'encoder'"),
        ("threads=three", "no way 'three' for threads; use one of all, siblings_once, one"),
        ("threads=one,", "ways has no operation ''"),
        ("encoder_attention=", "no way '' for encoder_attention; use one of int16"),
    ],
)
def test_an_unknown_name_is_refused_with_the_list_of_names(text, said):
    with pytest.raises(UsageError, match=said):
        parse_ways(text)


def test_the_environment_pins_the_ways_unless_a_setting_does(monkeypatch):
    monkeypatch.setenv("DISTIL_STREAM_WAYS", "threads=one")
    assert requested_ways(None) == {**DEFAULT_WAYS, "threads": "one"}
    assert requested_ways("default") == DEFAULT_WAYS
    assert requested_ways("auto") is None
    monkeypatch.delenv("DISTIL_STREAM_WAYS")
    assert requested_ways(None) is None
