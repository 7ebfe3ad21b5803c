"""The models: what every one must keep, what each switch must change, and saving."""

import json

import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from diffrec_lite import models
from diffrec_lite.data import Batch, pad
from diffrec_lite.models import MODELS, DCRec, DiffuRec, DiffuRecSys, ModelError, SASRec
from diffrec_lite.noise import BatchNoise

ITEMS = 30
SMALL = {"d": 16, "blocks": 2, "heads": 2, "max_len": 12}
DIFFUSIONS = ["diffurec", "diffurecsys", "dcrec"]
TRAINED = [*DIFFUSIONS, "sasrec"]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def histories() -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    lengths = [1, 2, 5, 9, 12]
    return [(torch.randperm(ITEMS, generator=generator)[:n] + 1).tolist() for n in lengths]


@pytest.fixture
def batch(histories) -> Batch:
    return Batch(torch.arange(5), pad(histories), torch.tensor([3, 7, 1, 30, 12]))


def make(name: str, **settings) -> models.Recommender:
    small = SMALL if name in TRAINED else {"max_len": 12}
    model = models.build(name, ITEMS, **{**small, **settings}).eval()
    perturb(model)
    return model


def perturb(model: torch.nn.Module) -> None:
    """Move every parameter off its first value, so that zero-initialised parts do something too."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        if hasattr(model, "item_embedding"):
            model.item_embedding.weight[0] = 0


# ---------------------------------------------------------------- every trained model


@pytest.mark.parametrize("name", TRAINED)
def test_loss_is_finite_and_reaches_every_parameter(name, batch):
    model = make(name).train()
    parts = model.loss(batch, BatchNoise(0))
    assert parts["loss"].dim() == 0 and all(bool(torch.isfinite(part)) for part in parts.values())
    parts["loss"].backward()
    without = [n for n, p in model.named_parameters() if p.grad is None]
    assert without == []


@pytest.mark.parametrize("name", TRAINED)
def test_padding_never_changes_a_score(name, histories):
    model = make(name)
    users = torch.arange(5)
    together = model.score(pad(histories), users)
    for row, history in enumerate(histories):
        alone = model.score(torch.tensor([history]), users[row : row + 1])
        assert torch.allclose(together[row], alone[0], atol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_padding_never_changes_a_loss(name, batch):
    """The same examples, padded by three more columns; noise is given to each real position alike."""
    model = make(name, max_len=15)
    wider = batch._replace(history=F.pad(batch.history, (3, 0)))

    class RightAligned(BatchNoise):
        def __call__(self, like, step=0, stream=0):
            drawn = torch.randn(len(like), 40, 16, generator=torch.Generator().manual_seed(stream))
            return drawn[:, -like.shape[1] :] if like.dim() == 3 else drawn[:, -1]

    a, b = (model.loss(x, RightAligned(0))["loss"] for x in (batch, wider))
    assert a.item() == pytest.approx(b.item(), abs=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_padding_is_never_a_candidate(name, histories):
    scores = make(name).score(pad(histories))
    assert scores.shape == (5, ITEMS + 1) and bool((scores[:, 0] == -torch.inf).all())
    assert bool(torch.isfinite(scores[:, 1:]).all())


@pytest.mark.parametrize("name", DIFFUSIONS)
def test_sampling_depends_on_the_user_and_the_seed_alone(name, histories):
    model = make(name)
    if name != "dcrec":
        model.delta = 1.0  # as published the noise hardly reaches the scores
    history = pad(histories)
    whole = model.score(history, users=[4, 8, 15, 16, 23], seed=1)
    part = model.score(history[[3, 1]], users=[16, 8], seed=1)
    assert torch.allclose(part, whole[[3, 1]], atol=1e-5)
    assert not torch.allclose(whole, model.score(history, users=[4, 8, 15, 16, 23], seed=2), atol=1e-3)
    assert not torch.allclose(whole, model.score(history, users=[0, 1, 2, 3, 5], seed=1), atol=1e-3)


@pytest.mark.parametrize("name", DIFFUSIONS)
def test_trajectory_ends_in_the_score(name, histories):
    model = make(name)
    history = pad(histories)
    states = list(model.trajectory(history, steps=4, seed=3))
    assert [s.t for s in states] == model.diffusion.steps(4)
    assert all(s.xt.shape == (5, 16) for s in states)
    assert torch.allclose(model.rounding(states[-1].xt), model.score(history, steps=4, seed=3))
    assert model.item_vectors().shape == (ITEMS + 1, 16)


@pytest.mark.parametrize("name", TRAINED)
def test_it_can_learn_one_batch_by_heart(name, batch):
    torch.manual_seed(0)
    by_ranking = {"ranking": 20.0, "lambda_schedule": "fix"} if name == "dcrec" else {}
    model = models.build(name, ITEMS, **SMALL, dropout=0.0, item_dropout=0.0, **by_ranking)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(150):
        optimiser.zero_grad()
        model.loss(batch, BatchNoise(step))["loss"].backward()
        optimiser.step()
    scores = model.eval().score(batch.history, steps=2 if name in DIFFUSIONS else None)
    assert scores.argmax(1).tolist() == batch.target.tolist()


# ---------------------------------------------------------------- switches


def changed(name: str, history: torch.Tensor, **settings) -> bool:
    scores = []
    for options in ({}, settings):
        torch.manual_seed(0)
        scores.append(make(name, **options).score(history))
    return not torch.allclose(*scores, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"positions": True},
        {"cross_attention": "softmax", "delta": 1.0},
        {"cross_attention": "none"},
        {"residual": False},
        {"mask_rows": True},
        {"only_last_block": True},
        {"key_softmax_over_heads": True},
        {"query_from_target": True},
        {"sampling_steps": 1, "delta": 1.0},
    ],
)
def test_switches_of_diffurecsys(settings, histories):
    assert changed("diffurecsys", pad(histories), **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"implicit": False},
        {"explicit": False},
        {"cond_ln": False},
        {"noise_on": "target"},
        {"delta": 0.5, "sampling_steps": 1},
        {"positions": False},
        {"rounding_by": "inner"},
        {"mask_rows": True},
        {"transition": "posterior"},
        {"sampling_steps": 3},
    ],
)
def test_switches_of_dcrec(settings, histories):
    assert changed("dcrec", pad(histories), **settings)


@pytest.mark.parametrize("settings", [{"offset_mean": 0.5}, {"offset_strength": 0.5}])
def test_offset_noise_acts_in_training_alone(settings, batch):
    plain, offset = make("diffurec", delta=1.0), make("diffurec", delta=1.0, **settings)
    offset.load_state_dict(plain.state_dict())
    losses = [model.loss(batch, BatchNoise(0))["loss"].item() for model in (plain, offset)]
    assert losses[0] != pytest.approx(losses[1], abs=1e-4)
    assert torch.equal(plain.score(batch.history), offset.score(batch.history))


def test_without_positions_only_the_last_item_has_a_place(histories):
    """Ledger 10: with lambda = 0, permuting all but the last item changes nothing."""
    history = torch.tensor([histories[-1]])
    shuffled = torch.cat([history[:, :-1].flip(1), history[:, -1:]], dim=1)
    model = make("diffurec", delta=0.0)
    assert torch.allclose(model.score(history), model.score(shuffled), atol=1e-5)
    placed = make("diffurec", delta=0.0, positions=True)
    assert not torch.allclose(placed.score(history), placed.score(shuffled), atol=1e-3)


def test_sasrec_predicts_each_position_from_its_past(histories):
    model = make("sasrec")
    history = torch.tensor([histories[-1]])
    whole = model.encode(history)
    assert torch.allclose(whole[:, 4], _last_with_same_recency(model, history, 4), atol=1e-5)


def _last_with_same_recency(model: SASRec, history: torch.Tensor, position: int) -> torch.Tensor:
    """Encode with everything after `position` replaced: causality says position's output stays."""
    other = history.clone()
    other[:, position + 1 :] = other[:, position + 1 :] % ITEMS + 1
    return model.encode(other)[:, position]


def test_dcrec_pairs_each_stream_position_with_the_item_before(batch):
    """The target must be denoised from the history alone: its own clean vector is never a condition."""
    model = make("dcrec")
    valid = batch.history != 0
    H0 = model.embed(batch.history)
    t = torch.full((5,), model.diffusion.T)
    S = torch.zeros_like(H0)
    base = model.denoise(S, t, H0, valid)
    other = batch.history.clone()
    other[:, -1] = other[:, -1] % ITEMS + 1
    assert not torch.allclose(base[:, -1], model.denoise(S, t, model.embed(other), valid)[:, -1], atol=1e-4)


def test_lambda_schedules_match_the_paper():
    smooth = DCRec(ITEMS, d=8, heads=2)
    assert smooth.lambda_at(0) == pytest.approx(0.203)
    assert smooth.lambda_at(75) == pytest.approx(0.2 * 0.5**9 + 0.003)
    assert smooth.lambda_at(150) == smooth.lambda_at(1000) == pytest.approx(0.003)
    assert DCRec(ITEMS, d=8, heads=2, lambda_schedule="fix").lambda_at(60) == 0.1
    decline = DCRec(ITEMS, d=8, heads=2, lambda_schedule="decline")
    assert decline.lambda_at(40) == pytest.approx(0.103) and decline.lambda_at(80) == pytest.approx(0.003)


def test_each_loss_of_dcrec_can_be_switched_off(batch):
    for switch in ("prior", "denoising", "ranking"):
        model = make("dcrec", **{s: float(s == switch) for s in ("prior", "denoising", "ranking")})
        parts = model.loss(batch, BatchNoise(0))
        weight = {"prior": 1.0, "denoising": 1 - model.lambda_at(0), "ranking": model.lambda_at(0)}[switch]
        assert parts["loss"].item() == pytest.approx(weight * parts[switch].item(), rel=1e-5)


def test_samples_average_the_score_distributions(histories):
    history = pad(histories)
    model = make("diffurecsys", delta=1.0)
    single = [model.score(history, seed=seed).softmax(-1) for seed in (5, 6)]
    model.samples = 2
    assert torch.allclose(model.score(history, seed=5).exp(), (single[0] + single[1]) / 2, atol=1e-6)


# ---------------------------------------------------------------- recommending


def test_recommend_is_a_ranking(histories):
    model = make("sasrec")
    titles = [f"Book {i}" for i in range(ITEMS + 1)]
    table = model.recommend(histories, k=4, titles=titles)
    assert list(table.columns) == ["user_id", "item_id", "score", "rank", "title"]
    assert table["rank"].tolist() == [1, 2, 3, 4] * 5
    assert (table.groupby("user_id").score.diff().dropna() <= 0).all()
    assert table.title[0] == f"Book {table.item_id[0]}"


def test_recommend_can_leave_out_what_was_seen(histories):
    model = make("sasrec")
    table = model.recommend(histories, k=ITEMS, filter_seen=True)
    for user, history in enumerate(histories):
        mine = table[table.user_id == user]
        assert not set(mine.item_id) & set(history) and len(mine) == ITEMS - len(history)


@pytest.mark.parametrize(
    ("history", "k", "message"),
    [([[1, 31]], 3, "31"), ([[]], 3, "empty"), ([[1]], 0, "k must"), ([[1]], 31, "k must"), ([[-1]], 1, "-1")],
)
def test_recommend_refuses_bad_input(history, k, message):
    with pytest.raises(ValueError, match=message):
        make("sasrec").recommend(history, k=k)


# ---------------------------------------------------------------- saving and loading


@pytest.mark.parametrize("name", list(MODELS))
def test_a_saved_model_gives_the_same_scores(name, histories, tmp_path, request):
    model = make(name)
    if model.learns_from == "counts":
        model.fit_counts(request.getfixturevalue("toy"))
    model.save_pretrained(tmp_path)
    loaded = models.load(tmp_path)
    assert type(loaded) is type(model) and not loaded.training
    assert torch.equal(loaded.score(pad(histories)), model.score(pad(histories)))
    assert loaded.config == model.config
    assert {"model", "num_items", "max_len"} <= json.loads((tmp_path / "config.json").read_text()).keys()


@pytest.fixture
def toy():
    from diffrec_lite.data import SequenceDataset

    log = pd.DataFrame({"user": [0] * 5 + [1] * 4, "item": [1, 2, 3, 4, 5, 1, 2, 6, 7], "timestamp": range(9)})
    catalogue = pd.DataFrame({"user": 9, "item": range(1, ITEMS + 1), "timestamp": range(ITEMS)})
    return SequenceDataset.from_log(pd.concat([log, catalogue]), name="toy")


def test_markov_counts_what_follows(toy):
    model = models.build("markov", ITEMS, backoff=0.001)
    model.fit_counts(toy)
    scores = model.score(torch.tensor([[5, 1], [1, 2]]))
    assert torch.allclose(scores[:, 1:].sum(1), torch.ones(2), atol=1e-5)
    assert scores[0].argmax() == 2 and scores[0, 2] > 0.99
    assert scores[1].argmax() == 3 and scores[1, 7] < 0.01  # 7 is a target and never counted


def test_popularity_counts_the_training_part(toy):
    model = models.build("popularity", ITEMS)
    model.fit_counts(toy)
    assert model.score(torch.tensor([[1]]))[0, 1:].sum().item() == pytest.approx(1)
    assert model.score(torch.tensor([[1]])).argmax().item() in (1, 2)


def test_loading_refuses_what_is_not_a_model(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        models.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="not valid JSON"):
        models.load(tmp_path)
    make("sasrec").save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"garbage")
    with pytest.raises(ModelError, match="cannot be loaded"):
        models.load(tmp_path)
    make("diffurec").save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="holds a DiffuRec"):
        DiffuRecSys.from_pretrained(tmp_path)


def test_loading_is_strict(tmp_path):
    make("diffurec").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "blocks": 3}))
    with pytest.raises(ModelError, match="Missing key"):
        DiffuRec.from_pretrained(tmp_path)


def test_unknown_names_are_refused():
    with pytest.raises(ModelError, match="unknown model 'dcrek'"):
        models.build("dcrek", ITEMS)
    with pytest.raises(ModelError, match="no setting 'width'"):
        models.build("dcrec", ITEMS, width=3)
    for bad in ({"cross_attention": "yes"}, {"blocks": 2, "heads": 3, "d": 16}):
        with pytest.raises(ValueError):
            models.build("diffurec", ITEMS, **bad)
    for bad in ({"transition": "foo"}, {"sampling_steps": 0}, {"samples": 0}, {"delta": float("nan")}):
        with pytest.raises(ModelError, match=next(iter(bad))):
            models.build("dcrec", ITEMS, **bad)
    with pytest.raises(ModelError, match="both off"):
        models.build("dcrec", ITEMS, implicit=False, explicit=False)
