"""Measures the memory of the weights of networks; shared weights count once."""

from torch import nn

from stream.engine.network.quantization import Int8Linear


def weight_bytes(*networks: nn.Module | None) -> int:
    """Return the size of all weights of these networks in bytes; None is skipped.

    A weight that is shared counts once.
    """
    found: dict[int, int] = {}
    for network in networks:
        for module in network.modules() if network is not None else ():
            if isinstance(module, Int8Linear):
                found[id(module.packed)] = module.in_features * module.out_features
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                found[tensor.data_ptr()] = tensor.nbytes
    return sum(found.values())
