"""Between the host and a device: copies that nobody waits for, and one wait for all it reads."""

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor of the CPU's to a device, without waiting for what that is doing."""
    return tensor.to(device, non_blocking=True)


def fetch(*columns: Tensor) -> list[list[float]]:
    """Read numbers of a device, waiting once: of each column, (n,), those of a row together.

    float64 holds token ids, positions and float32 exactly.
    """
    return torch.stack([column.double() for column in columns], 1).tolist()
