import pytest
import torch

from stream.engine.network.linear import plain_linear
from stream.engine.network.quantization import Int8Linear
from stream.engine.network.shortlist import Shortlist


@pytest.mark.parametrize("int8", [False, True])
def test_likely_tokens_have_their_logits_and_the_others_none(int8):
    torch.manual_seed(0)
    embedding, x = torch.randn(50, 32), torch.randn(3, 2, 32)
    shortlist = Shortlist((4, 7, 40), embedding, Int8Linear if int8 else plain_linear)
    logits = shortlist.spread(shortlist(x))
    expected = x @ embedding.T
    assert logits.shape == (3, 2, 50)
    chosen = [4, 7, 40]
    tolerance = 0.5 if int8 else 1e-5
    torch.testing.assert_close(logits[..., chosen], expected[..., chosen], atol=tolerance, rtol=0)
    assert torch.isneginf(logits).sum() == 3 * 2 * 47
