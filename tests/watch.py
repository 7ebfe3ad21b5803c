"""What torch really computes: the operations that were run, how large their results were, and which of them wait."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAITING = ("_local_scalar_dense", "aten.item", "nonzero", "masked_select", "unique", "aten.equal", "is_nonzero")


class Watch(TorchDispatchMode):
    """Within this context every operation is written down: `ops` by name, `largest` in numbers, `waits` by name.

    An operation waits when the program cannot go on before its result is known: on a GPU each one costs a halt.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ops: list[str] = []
        self.waits: list[str] = []
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = str(func)
        self.ops.append(name)
        self.largest = max([self.largest, *(x.numel() for x in tree_leaves(result) if isinstance(x, torch.Tensor))])
        indexed = name.startswith(("aten.index.", "aten.index_put"))
        by_mask = indexed and any(isinstance(i, torch.Tensor) and i.dtype == torch.bool for i in args[1])
        if by_mask or any(word in name for word in WAITING):
            self.waits.append(name)
        return result
