"""A GPU that is none: a device of PyTorch's, whose tensors are kept and computed on the CPU.

What works on it works on a GPU as far as devices are concerned: no operation takes tensors of two
of them, and whatever the host waits for is noted. The device is PyTorch's "privateuseone", which
is for devices written in Python; there is one in a process.
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretended"
INDEXING = ("index", "index_put_", "_index_put_impl_")
"""Take indices of the CPU's, and copy them."""
AWAITED: list[str] = []
"""Where the host waited for the device: to read of it, or to copy to it."""


class DeviceTensor(Tensor):
    """A tensor on the device."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> "DeviceTensor":
        there = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(NAME, 0),
        )
        there.held = held
        return there

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError(f"{func} outside of `pretended_gpu()`")

    def tolist(self) -> Any:
        wait()
        return self.held.tolist()

    def numpy(self) -> Any:
        raise TypeError("this tensor is on a device; numpy reads the CPU's")


class OnDevice(TorchDispatchMode):
    """Computes everything on the CPU, and keeps account of whose it is."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
            with self:  # in inference mode what is made of other operations comes here whole
                return func.decompose(*args, **kwargs)
        tensors = [x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        theirs = [isinstance(tensor, DeviceTensor) for tensor in tensors]
        ours = [
            tensor for tensor in tensors if not isinstance(tensor, DeviceTensor) and tensor.ndim
        ]
        name, goes_there = func.overloadpacket.__name__, any(theirs)
        if (device := kwargs.get("device")) is not None:
            goes_there = torch.device(device).type == NAME
            kwargs["device"] = torch.device("cpu")
        copied = name == "_to_copy" and goes_there != any(theirs)
        if copied or (any(theirs) and name in ("_local_scalar_dense", "nonzero")):
            if not kwargs.get("non_blocking"):
                wait()
        elif any(theirs) and ours:
            if name not in (*INDEXING, "copy_"):
                raise RuntimeError(f"{func} of tensors of two devices")
            wait()
        args, kwargs = pytree.tree_map(held, (args, kwargs))
        result = func(*args, **kwargs)
        for tensor in tensors:  # what was written in place is itself again
            if isinstance(tensor, DeviceTensor) and tensor.held is result:
                return tensor
        if name == "_local_scalar_dense" or not goes_there:
            return result
        with torch.inference_mode(mode=False):
            return pytree.tree_map(
                lambda x: DeviceTensor(x) if isinstance(x, Tensor) else x, result
            )


def held(x: Any) -> Any:
    return x.held if isinstance(x, DeviceTensor) else x


def wait() -> None:
    """Note the line of ours that makes the host wait."""
    lines = [f for f in traceback.extract_stack(sys._getframe(1)) if "/stream/" in f.filename]
    AWAITED.append(f"{lines[-1].filename.split('/')[-1]}: {lines[-1].line}" if lines else "a test")


def _empty_strided(size, stride, dtype=None, layout=None, device=None, pin_memory=None):
    return DeviceTensor(torch.empty_strided(size, stride, dtype=dtype, device="cpu"))


def _copy_from(source, target, non_blocking=False):
    with _disable_current_modes():
        held(target).copy_(held(source))
    return target


_setup_privateuseone_for_python_backend(NAME)
_library = torch.library.Library("aten", "IMPL")
# A list as an index becomes a tensor of the device below all modes.
_library.impl("empty_strided", _empty_strided, "PrivateUse1")
_library.impl("_copy_from", _copy_from, "PrivateUse1")


@contextmanager
def pretended_gpu() -> Iterator[list[str]]:
    """Let the device `NAME` work; gives the list of what the host waits for."""
    with OnDevice():
        AWAITED.clear()
        yield AWAITED
