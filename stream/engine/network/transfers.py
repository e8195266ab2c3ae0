"""Copies between the host and a device: sending does not wait, reading waits once."""

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor from the CPU to a device, without waiting for work queued on the device."""
    return tensor.to(device, non_blocking=True)


def fetch(*columns: Tensor) -> list[list[float]]:
    """Read columns of numbers, each (n,), from a device, and return them row by row.

    Waits for the device once. float64 holds token ids, positions and float32 exactly.
    """
    return torch.stack([column.double() for column in columns], 1).tolist()
