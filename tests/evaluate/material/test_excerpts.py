"""Joined recordings are cut into excerpts of whole cuts."""

import pytest

from stream.errors import UsageError
from stream.evaluate.material.excerpts import read_excerpts
from tests.evaluate.material.test_recordings import write_manifest


def test_excerpts_are_whole_cuts_of_different_recordings_first(tmp_path):
    def cuts(*names):
        return [{"audio": f"{n}.wav", "text": n, "seconds": 4} for n in names]

    manifest = write_manifest(tmp_path, {"cuts": cuts(*"abcdefg")}, {"cuts": cuts(*"xyz")})
    texts = [one.text for one in read_excerpts(manifest, 3, 9, gap_s=1)]
    assert texts == ["a b", "x y", "c d"]
    assert [one.text for one in read_excerpts(manifest, 2, 9, gap_s=0)] == ["a b c", "x y z"]
    with pytest.raises(UsageError, match="only 4 excerpts of 9 s, not 5"):
        read_excerpts(manifest, 5, 9, gap_s=1)


def test_a_manifest_without_cuts_has_no_excerpts(tmp_path):
    manifest = write_manifest(tmp_path, {"audio": "a.wav", "text": "a"})
    with pytest.raises(UsageError, match="not a manifest of joined recordings"):
        read_excerpts(manifest, 1, 5, gap_s=0)
