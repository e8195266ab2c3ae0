"""Linear layers for the CPU with oneDNN's kernels, in int8 and in bfloat16.

The processor determines which kernels are the fastest: FBGEMM's (`quantization.Int8Linear`) use
AVX2, AVX-512 and VNNI; oneDNN's also use AMX and, on ARM, the matrix instructions.
"""

import torch
from torch import Tensor, nn

from stream.engine.network.quantization import ACTIVATION_LEVELS, int8_weight


class OnednnInt8Linear(nn.Module):
    """A linear layer with the quantisation of `Int8Linear` and the kernels of oneDNN."""

    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Quantise `weight` (out_features, in_features) and keep `bias` (out_features,)."""
        super().__init__()
        codes, scales = int8_weight(weight.detach().float())
        self.packed = torch.ops.onednn.qlinear_prepack(codes, None)
        self.register_buffer("scales", scales)
        self.register_buffer("zero_points", torch.zeros(len(scales), dtype=torch.long))
        self.register_buffer("bias", None if bias is None else bias.detach().float())

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer: (..., in_features) -> (..., out_features)."""
        peak = x.abs().amax(-1, keepdim=True).clamp_(min=1e-9)
        codes = (x * (ACTIVATION_LEVELS / peak)).round_().add_(ACTIVATION_LEVELS + 1)
        y: Tensor = torch.ops.onednn.qlinear_pointwise(
            codes.to(torch.uint8),
            1 / ACTIVATION_LEVELS,
            ACTIVATION_LEVELS + 1,
            self.packed,
            self.scales,
            self.zero_points,
            None,  # the bias: it is added after the row's own scale
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        if self.bias is None:
            return y.mul_(peak)
        return torch.addcmul(self.bias, y, peak, out=y)


class Bfloat16Linear(nn.Module):
    """A linear layer with bfloat16 weights and products; input and output are float32."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Round `weight` (out_features, in_features) and `bias` (out_features,) to bfloat16."""
        super().__init__()
        self.register_buffer("weight", weight.detach().bfloat16())
        self.register_buffer("bias", None if bias is None else bias.detach().bfloat16())

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer: (..., in_features) -> (..., out_features)."""
        return nn.functional.linear(x.bfloat16(), self.weight, self.bias).float()


def plain_linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """Return PyTorch's linear layer with these weights, in their type."""
    out_features, in_features = weight.shape
    layer = nn.Linear(in_features, out_features, bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.detach(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return layer
