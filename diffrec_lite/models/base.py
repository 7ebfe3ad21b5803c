"""What every recommender does: learn from batches, score the whole catalogue, recommend, and be saved and loaded.

Histories are `(B, L)` item ids, padded with 0 on the left. Scores are `(B, V)`: column i belongs to item i, and
column 0, the padding, is always -inf.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from huggingface_hub import PyTorchModelHubMixin, hf_hub_download
from torch import Tensor, nn

from diffrec_lite.data import Batch, SequenceDataset, pad
from diffrec_lite.data.whole import flush, write
from diffrec_lite.evaluation import device_of, evaluating
from diffrec_lite.models.catalogue import Catalogue
from diffrec_lite.models.packed import PackError, about, pack, unpack
from diffrec_lite.models.reading import checking
from diffrec_lite.models.settings import SettingError, Settings, number
from diffrec_lite.noise import NormalNoise

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


class ModelError(SettingError):
    """A model folder or a setting that cannot be used; the message says what is wrong and where."""


@dataclass(frozen=True)
class RecommenderSettings(Settings):
    """`max_len`: how many of the latest items of a history a model reads."""

    max_len: int = number(50, at_least=1)


class Recommender(nn.Module, PyTorchModelHubMixin):
    """Base class. A subclass sets `Settings` and `learns_from` and writes `loss` and `score`.

    `Settings` is a dataclass that holds everything a model can be told; `self.settings` is one of it. `learns_from`
    says which examples `loss` wants: "prefixes" (one target after each prefix of a history), "sequences" (the
    last `max_len` items of each history, a target at every position) or "counts" (no gradient: `fit_counts(dataset)`).

    `catalogue` names the items, None as long as the model was not trained; `trained_on` describes the data, {} where
    nobody told. Both are saved in one file with the weights.
    Raises SettingError for a setting that is unknown or out of range.
    """

    Settings: type[Settings] = RecommenderSettings
    learns_from = "prefixes"
    catalogue: Catalogue | None = None
    trusts = False  # whether histories are known to be good already

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Both ways in check the histories that they get, whatever the subclass does (`reading.py`)."""
        super().__init_subclass__(**kwargs)
        for name in ("score", "trajectory"):
            if name in vars(cls):
                setattr(cls, name, checking(vars(cls)[name]))

    def __init__(self, num_items: int, **settings: Any) -> None:
        super().__init__()
        if num_items < 1:
            raise ModelError(f"num_items must be at least 1, got {num_items}")
        self.num_items = num_items
        self.settings = self.Settings.of(type(self).__name__.lower(), **settings)
        self.max_len = self.settings.max_len
        self.trained_on: dict[str, Any] = {}

    def loss(self, batch: Batch, noise: NormalNoise, epoch: float = 0.0) -> dict[str, Tensor]:
        """The training loss of a batch: "loss", the number to minimise, and its parts by name, all scalars."""
        raise NotImplementedError

    def forward(self, batch: Batch, noise: NormalNoise, epoch: float = 0.0) -> dict[str, Tensor]:
        """`loss`, under the name that torch's distributed wrapper calls."""
        return self.loss(batch, noise, epoch)

    def score(
        self, history: Tensor, users: Sequence[int] | Tensor | None = None, steps: int | None = None, seed: int = 0
    ) -> Tensor:
        """Scores `(B, V)` of every item as the next one of each history `(B, L)`.

        `users (B,)` names the readers and, with `seed`, fixes the noise of a sampler; the default is 0 … B - 1.
        `steps` is the number of denoising steps. Models without a sampler ignore all three.
        Raises ValueError for what is no history (`reading.readable`), and for more or fewer users than histories.
        """
        raise NotImplementedError

    def numbered(self, dataset: SequenceDataset) -> SequenceDataset:
        """`dataset` with its items numbered as this model numbers them.

        Raises ValueError for a data set of other items. A model that was not trained can only compare how many.
        """
        if self.catalogue is not None:
            return self.catalogue.numbered(dataset)
        if dataset.num_items != self.num_items:
            raise ValueError(f"the model knows {self.num_items} items, the data set {dataset.name} {dataset.num_items}")
        return dataset

    def learning_from(self, dataset: SequenceDataset) -> SequenceDataset:
        """`numbered(dataset)`, for training: a model that has no catalogue yet takes the data set's."""
        dataset = self.numbered(dataset)
        self.catalogue, self.trained_on = self.catalogue or Catalogue.of(dataset), {}
        return dataset

    @torch.inference_mode()
    def recommend(
        self,
        histories: Tensor | Sequence[Sequence[int]],
        k: int = 10,
        *,
        users: Sequence[int] | Tensor | None = None,
        titles: Sequence[str] | None = None,
        filter_seen: bool = False,
        steps: int | None = None,
        seed: int = 0,
    ) -> pd.DataFrame:
        """The k best items for each history, best first: columns user_id, item_id, score, rank (from 1), title.

        `titles[i]` is the title of item i (default: the model's own). `filter_seen` leaves out what a history already
        holds. Raises ValueError for an empty history, an id outside 1 … num_items, or a k outside 1 … num_items.
        """
        whole = pad(histories).cpu()
        if not 1 <= k <= self.num_items:
            raise ValueError(f"k must lie in 1 … {self.num_items}, got {k}")
        with evaluating(self):
            scores = self.score(whole.to(device_of(self)), users, steps, seed).float().cpu()
        if bool(scores.isnan().any()):
            raise ValueError("the scores hold NaN; the model's weights are not usable")
        if filter_seen:
            scores = scores.scatter(1, whole, -torch.inf)
        best, items = scores.topk(k)
        users = range(len(whole)) if users is None else users
        titles = self.catalogue.titles if titles is None and self.catalogue is not None else titles
        table = pd.DataFrame(
            {
                "user_id": [int(user) for user in users for _ in range(k)],
                "item_id": items.flatten().tolist(),
                "score": best.flatten().tolist(),
                "rank": list(range(1, k + 1)) * len(whole),
                "title": [titles[i] if titles is not None else "" for i in items.flatten().tolist()],
            }
        )
        return table[table.score > -torch.inf].reset_index(drop=True)

    # ------------------------------------------------------------ saving and loading

    def load_state_dict(self, state_dict: Mapping[str, Tensor], *args: Any, **settings: Any) -> Any:
        """torch's own; RuntimeError also for a tensor of another rank or kind, whatever size the model lets it have."""
        own = self.state_dict()
        for name in own.keys() & state_dict.keys():
            mine, theirs = own[name], state_dict[name]
            kinds = [(x.dim(), x.is_floating_point(), x.is_complex()) for x in (mine, theirs)]
            if kinds[0] != kinds[1]:
                raise RuntimeError(f"{name} is {theirs.dtype} of shape {tuple(theirs.shape)}, which does not fit")
        return super().load_state_dict(state_dict, *args, **settings)

    @property
    def config(self) -> dict[str, Any]:
        """The class, the size of the catalogue, and every setting: all that is needed to build this model again."""
        return {"model": type(self).__name__, "num_items": self.num_items, **self.settings.as_dict()}

    def packed(self, weights: dict[str, Tensor] | None = None) -> bytes:
        """The content of `model.safetensors`: the weights, and with them the config, the catalogue and `trained_on`.

        `weights` takes the place of the model's own.
        """
        catalogue = None if self.catalogue is None else self.catalogue.as_dict()
        known = {"config": self.config, "catalogue": catalogue, "trained_on": self.trained_on}
        return pack(self.state_dict() if weights is None else weights, known)

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> str | None:
        """Write `model.safetensors` and `config.json` into a folder (huggingface_hub's mixin)."""
        return super().save_pretrained(save_directory, **{**kwargs, "config": self.config})

    def _save_pretrained(self, save_directory: Path) -> None:
        self.save_files(save_directory)

    def save_files(self, folder: Path, weights: dict[str, Tensor] | None = None) -> None:
        """Write `model.safetensors`, with `weights` or the model's own, and `config.json`.

        A kill at any moment leaves the model that was there or this one: the weights carry their config, so that a
        reader does without `config.json` while another model's is exchanged.
        """
        path, config = folder / CONFIG, json.dumps(self.config, sort_keys=True, indent=2)
        if path.exists() and path.read_bytes() != config.encode():
            path.unlink()
            flush(folder)
        write(folder / WEIGHTS, self.packed(weights))
        write(path, config)

    @classmethod
    def _from_pretrained(
        cls, *, model_id, revision, cache_dir, force_download, local_files_only, token, **settings
    ) -> Recommender:
        """Load strictly, from safetensors only: no code and no pickle of the file's author is ever run."""
        made_by = settings.pop("model", None)
        if made_by not in (None, cls.__name__):
            raise ModelError(f"{model_id} holds a {made_by}, not a {cls.__name__}")
        folder = Path(model_id)
        if folder.is_dir():
            path = folder / WEIGHTS
        else:
            path = hf_hub_download(
                model_id,
                WEIGHTS,
                revision=revision,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                token=token,
            )
        try:
            known, weights = unpack(path)
            if not all(isinstance(known.get(part, {}), dict) for part in ("config", "trained_on")):
                raise PackError("its description is damaged")
            catalogue = Catalogue.from_dict(known["catalogue"]) if known.get("catalogue") else None
        except (OSError, PackError, ValueError) as problem:
            raise ModelError(f"{path}: cannot be loaded as a {cls.__name__}: {problem}") from problem
        if made_by is None:  # there is no config.json
            settings = {**known.get("config", {}), **settings}
            settings.pop("model", None)
        elif known.get("config"):
            _compare(read_config(path.parent), known["config"], path)
        try:
            model = cls(**settings)
        except (RuntimeError, TypeError, SettingError) as problem:
            raise ModelError(f"{folder / CONFIG}: describes no {cls.__name__}: {problem}") from problem
        try:
            model.load_state_dict(weights)
        except RuntimeError as problem:
            raise ModelError(f"{path}: cannot be loaded as a {cls.__name__}: {problem}") from problem
        if catalogue is not None and len(catalogue.tokens) != model.num_items + 1:
            raise ModelError(f"{path}: names {len(catalogue.tokens) - 1} items and weighs {model.num_items}")
        model.catalogue, model.trained_on = catalogue, known.get("trained_on", {})
        return model.eval()


def _compare(config: dict[str, Any], made_with: dict[str, Any], path: Path) -> None:
    """Raise ModelError where `config.json` is not what the weights were made with."""
    for name in sorted(config.keys() & made_with.keys()):
        if config[name] != made_with[name]:
            raise ModelError(
                f"{path}: made with {name} {made_with[name]!r}, but {CONFIG} beside it says {config[name]!r}; "
                f"remove {CONFIG}, for the weights carry their own"
            )


def read_config(folder: str | Path) -> dict[str, Any]:
    """The `config.json` of a model folder, or else what the weights carry of it. Raises ModelError when it is damaged.

    While a folder gets another model there is no `config.json` in it.
    """
    path = Path(folder) / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        config = about(path.with_name(WEIGHTS)).get("config")
        if not config:
            raise ModelError(
                f"{path}: no such file; a model folder is what `diffrec-lite train` leaves in --out"
            ) from None
    except ValueError as problem:
        raise ModelError(f"{path}: not valid JSON ({problem}); train the model again or restore the file") from None
    if not isinstance(config, dict) or "model" not in config:
        raise ModelError(f"{path}: does not name its model; it was not written by diffrec-lite")
    return config
