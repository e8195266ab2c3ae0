import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stream.engine.checkpoints.ctranslate2_format import read_model_bin
from stream.errors import CheckpointError

PATH = Path("model.bin")
TYPE_IDS = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}


def string(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def model_bin(variables: dict[str, np.ndarray], *, version=6, specification="WhisperSpec") -> bytes:
    parts = [
        struct.pack("<I", version),
        string(specification),
        struct.pack("<II", 3, len(variables)),
    ]
    for name, values in variables.items():
        shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
        head = struct.pack("<BI", TYPE_IDS[values.dtype.name], values.nbytes)
        parts += [string(name), shape, head, values.tobytes()]
    return b"".join(parts)


VARIABLES = {
    "encoder/num_heads": np.array(6, np.int16),
    "encoder/conv1/weight": np.arange(6, dtype=np.float16).reshape(1, 2, 3),
    "encoder/conv1/bias": np.array([1.5], np.float32),
}


def test_every_variable_comes_back_as_it_was_written():
    read = read_model_bin(model_bin(VARIABLES), PATH)
    assert read.keys() == VARIABLES.keys()
    for name, values in VARIABLES.items():
        torch.testing.assert_close(read[name], torch.from_numpy(values), atol=0, rtol=0)


def test_quantised_rows_are_divided_by_their_scale():
    weight, scale = np.array([[127, -64], [10, 0]], np.int8), np.array([127, 10], np.float32)
    read = read_model_bin(model_bin({"a/weight": weight, "a/weight_scale": scale}), PATH)
    torch.testing.assert_close(read["a/weight"], torch.tensor([[1, -64 / 127], [1, 0]]))
    assert read.keys() == {"a/weight"}


@given(st.integers(0, len(model_bin(VARIABLES)) - 1))
def test_a_file_cut_anywhere_is_refused(size):
    with pytest.raises(CheckpointError, match=r"model\.bin is truncated: expected at least"):
        read_model_bin(model_bin(VARIABLES)[:size], PATH)


@given(st.integers(0, len(model_bin(VARIABLES)) - 1), st.integers(1, 255))
def test_a_changed_byte_is_read_or_refused(at, flip):
    data = bytearray(model_bin(VARIABLES))
    data[at] ^= flip
    refusal = None
    try:
        read = read_model_bin(bytes(data), PATH)
    except CheckpointError as error:  # and no other error
        refusal = str(error)
    if refusal is not None:
        assert str(PATH) in refusal
    else:
        assert all(isinstance(values, torch.Tensor) for values in read.values())


@pytest.mark.parametrize("other", [{"version": 5}, {"specification": "TransformerSpec"}])
def test_another_kind_of_model_is_refused(other):
    with pytest.raises(CheckpointError, match="not a WhisperSpec of version 6"):
        read_model_bin(model_bin(VARIABLES, **other), PATH)
