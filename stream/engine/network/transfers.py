"""Copies tensors between the CPU and a device: to it without waiting, from it with one wait."""

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor from the CPU to a device, without waiting for work queued on the device."""
    return tensor.to(device, non_blocking=True)


def fetch(*columns: Tensor) -> list[list[float]]:
    """Copy columns of numbers, each (n,), from a device, and return them as n rows.

    It waits for the device once. The numbers pass through float64, which represents token ids,
    positions and float32 exactly.
    """
    return torch.stack([column.double() for column in columns], 1).tolist()
