"""The explorer of notebook 03: which of a reader's books looks at which, block by block and head by head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from diffrec_lite.data import SequenceDataset
from diffrec_lite.layers import causal_mask, key_mask, row_mask
from diffrec_lite.lessons.cross_attention import figures
from diffrec_lite.models import DiffuRec, Recommender, SASRec
from diffrec_lite.noise import UserNoise
from diffrec_lite.widgets.explorer import Explorer, choice, explorer


@torch.inference_mode()
def maps(model: Recommender, history: Tensor) -> list[Tensor]:
    """The self-attention maps of a SASRec or a DiffuRec: for each block `(B, h, L, L)`, every row sums to 1.

    A DiffuRec is asked at the last step, t = T, where x_t is noise: what its Transformer sees first when it is used.
    """
    valid = history != 0
    if isinstance(model, SASRec):
        e = model.item_embedding(history)
        x, mask = e + model.positions(e), causal_mask(valid)
    elif isinstance(model, DiffuRec):
        noise = UserNoise(0, range(len(history)), valid.sum(1))
        x_T, T = noise(model.embed(history)[:, -1], model.diffusion.T), torch.full((len(history),), model.diffusion.T)
        x = model.fuse(model.embed(history), x_T, T, valid, noise, model.diffusion.T)
        mask = row_mask(valid) if model.mask_rows else key_mask(valid)
    else:
        raise TypeError(f"attention maps of a {type(model).__name__} are not drawn; take a SASRec or a DiffuRec")
    found = []
    for block in model.blocks:
        h = block.norm1(x)
        found.append(block.attention.weights(h, h, mask))
        x = block(x, mask)
    return found


def readout(weights: Tensor, titles: Sequence[str]) -> str:
    """What the last book, the one that predicts, looks at: its map row `weights[-1]`, in words."""
    last = weights[-1]
    place = int(last.argmax())
    return (
        f"The last book is {titles[-1]}.\nIt looks most at {titles[place]} (weight {float(last[place]):.2f}); "
        f"spread evenly, each book would get {1 / len(titles):.2f}."
    )


def attention_explorer(
    model: Recommender, dataset: SequenceDataset, rows: Sequence[int], longest: int = 9, heads: int = 2
) -> Explorer:
    """Choose a reader among `rows` of the test split, a block and a head; `longest` books are read at most."""
    longest = min(longest, model.max_len)
    found, titles = {}, {}
    for row in rows:
        batch = dataset.test.batch(torch.tensor([row]), longest)
        books = batch.history[batch.history != 0]
        name = dataset.user_tokens[int(batch.users[0])]
        found[name] = [block[0] for block in maps(model, books[None])]
        titles[name] = [dataset.title(int(book)) for book in books]
    first = next(iter(found.values()))
    return explorer(
        lambda reader, block, head: figures.attention(found[reader][block - 1][head - 1], titles[reader]),
        lambda reader, block, head: readout(found[reader][block - 1][head - 1], titles[reader]),
        title="Which book looks at which",
        alt="A square map: a row for each book that looks, a column for each book that is looked at.",
        reader=choice("Reader", list(found)),
        block=choice("Block", range(1, len(first) + 1)),
        head=choice("Head", range(1, min(heads, len(first[0])) + 1)),
    )
