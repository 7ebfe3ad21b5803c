"""Small models that every test of a model starts from, and the settings of DCRec that deserve a test of their own."""

import torch
from torch import Tensor

from diffrec_lite import models
from diffrec_lite.data import Batch
from diffrec_lite.models import DCRec, Recommender

ITEMS = 30
SMALL = {"d": 16, "blocks": 2, "heads": 2, "max_len": 12}
DIFFUSIONS = ["diffurec", "diffurecsys", "dcrec", "adrec", "hybrid"]
TRAINED = [*DIFFUSIONS, "sasrec", "gru4rec", "bert4rec", "bprmf"]

# As published the noise hardly reaches the scores of these models; so it does.
LOUD = {"adrec": {"quiet": 1.0}, **{name: {"delta": 1.0} for name in ("diffurec", "diffurecsys", "dcrec", "hybrid")}}

REPAIRS = {
    "detach_target": True,
    "share_at_T": 0.5,
    "stream": "guess",
    "signal": 0.5,
    "slot": True,
    "positions": "after",
    "project": True,
    "seen_bias": True,
    "rounding_by": "inner",
}
CAUSAL = {**REPAIRS, "causal": True, "positions": "relative"}
VARIANTS = {
    "diffurec": ("diffurec", {}),
    "diffurec, seen bias": ("diffurec", {"seen_bias": True, "positions": True, "offset_strength": 0.5}),
    "diffurec, input norm": ("diffurec", {"input_norm": True}),
    "diffurecsys": ("diffurecsys", {}),
    "diffurecsys, softmax": ("diffurecsys", {"cross_attention": "softmax", "transition": "ddim", "samples": 2}),
    "sasrec": ("sasrec", {}),
    "sasrec, seen bias": ("sasrec", {"seen_bias": True}),
    "sasrec, relative": ("sasrec", {"positions": "relative"}),
    "sasrec, prefixes": ("sasrec", {"learns_from": "prefixes", "seen_bias": True, "input_norm": True}),
    "sasrec, one negative": ("sasrec", {"loss": "bce", "tied": False}),
    "sasrec, sampled": ("sasrec", {"loss": "sampled", "negatives": 3}),
    "bert4rec": ("bert4rec", {}),
    "bert4rec, seen bias": ("bert4rec", {"seen_bias": True}),
    "bprmf": ("bprmf", {"decay": 0.8}),
    "bprmf, two negatives": ("bprmf", {"negatives": 2}),
    "gru4rec": ("gru4rec", {}),
    "gru4rec, seen bias": ("gru4rec", {"seen_bias": True, "layers": 2}),
    "dcrec": ("dcrec", {}),
    "dcrec, posterior": ("dcrec", {"transition": "posterior", "delta_in_training": True, "mask_rows": True}),
    "dcrec, target alone": ("dcrec", {"noise_on": "target", "positions": "relative", "transition": "ddim"}),
    "dcrec, repaired": ("dcrec", REPAIRS),
    "dcrec, repaired, explicit only": ("dcrec", {**REPAIRS, "implicit": False}),
    "dcrec, causal": ("dcrec", CAUSAL),
    "adrec": ("adrec", {"quiet": 1.0}),
    "adrec, seen bias": ("adrec", {"seen_bias": True, "samples": 2, "input_norm": True}),
    "hybrid": ("hybrid", {**REPAIRS, "quiet": 0.5}),
    "hybrid, causal": ("hybrid", CAUSAL),
    "dcrec, causal, a step for each": ("dcrec", {**CAUSAL, "implicit": False, "step_for_each": True}),
}


def small(name: str) -> dict:
    """What `SMALL` says about a model."""
    return {setting: SMALL[setting] for setting in SMALL if setting in models.MODELS[name].Settings.defaults()}


def make(name: str, **settings) -> Recommender:
    """A small model in evaluation mode, every parameter away from its first value."""
    model = models.build(name, ITEMS, **{**small(name), **settings}).eval()
    perturb(model)
    return model


def perturb(model: torch.nn.Module) -> None:
    """Move every parameter off its first value, so that zero-initialised parts do something too."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        if hasattr(model, "item_embedding"):
            model.item_embedding.weight[0] = 0
        if getattr(model, "seen_bias", None) is not None:
            model.seen_bias.weight.fill_(-0.03)


def same_weights(source: Recommender, **settings) -> Recommender:
    """The same model with the same weights, some of its settings replaced."""
    config = {**source.config, **settings}
    model = models.build(config.pop("model").lower(), config.pop("num_items"), **config).eval()
    model.load_state_dict(source.state_dict())
    return model


def changes(name: str, history: torch.Tensor, settings: dict, both: dict | None = None) -> bool:
    """Whether `settings` change the scores of a model that has `both`, the weights that the two share being equal."""
    plain, other = make(name, **(both or {})), make(name, **{**(both or {}), **settings})
    mine = other.state_dict()
    shared = {key: value for key, value in plain.state_dict().items() if key in mine and mine[key].shape == value.shape}
    other.load_state_dict(shared, strict=False)
    return not torch.allclose(plain.score(history), other.score(history), atol=1e-5)


def stream_of(model: DCRec, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """S_0, H_0 and which places are real, written out."""
    following = torch.cat([batch.history[:, 1:], batch.target[:, None]], dim=1)
    S0 = model.settings.signal * model.embed(following)
    return S0 if model.settings.implicit else S0[:, -1:], model.clean(batch.history), batch.history != 0
