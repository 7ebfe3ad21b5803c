"""The hybrid is DCRec whose stream is laid over the clean history."""

import pytest
import torch
from models.small import REPAIRS, changes, make, stream_of

from diffrec_lite import models
from diffrec_lite.data import pad
from diffrec_lite.noise import Noise


def test_the_stream_is_laid_over_the_item_before_each_place(batch):
    model = make("hybrid", **REPAIRS, quiet=0.3)
    S0, H0, _ = stream_of(model, batch)
    x = model.enter(S0, torch.ones(5, dtype=torch.long))
    assert torch.allclose(model.fuse(x, H0), H0 + 0.3 * x)
    alone = make("hybrid", **{**REPAIRS, "implicit": False})
    assert torch.equal(alone.fuse(x[:, -1:], H0), H0[:, -1:] + x[:, -1:])


def test_without_what_it_is_laid_over_it_is_dcrec(batch, monkeypatch):
    hybrid = make("hybrid", **REPAIRS)
    settings = {
        name: value for name, value in hybrid.settings.as_dict().items() if name not in ("quiet", "offset_mean")
    }
    dcrec = models.build("dcrec", hybrid.num_items, **settings).eval()
    dcrec.load_state_dict(hybrid.state_dict())
    noise = Noise(0, batch.users, batch.positions)
    assert not torch.allclose(hybrid.score(batch.history), dcrec.score(batch.history), atol=1e-3)
    monkeypatch.setattr(type(hybrid), "fuse", lambda model, x, H0: x)
    assert torch.equal(hybrid.score(batch.history), dcrec.score(batch.history))
    assert hybrid.loss(batch, noise)["loss"].item() == dcrec.loss(batch, noise)["loss"].item()


@pytest.mark.parametrize("name", ["hybrid", "dcrec"])
def test_one_number_added_to_all_noise_reaches_nothing(name, batch):
    """Offset noise as DiffuRecSys prints it. Every sublayer reads the stream through a layer norm, and so does L_z."""
    model = make(name, **{**REPAIRS, "share_at_T": 0.0, "positions": "relative"})

    class Shifted(Noise):
        def __call__(self, *about):
            return super().__call__(*about) + 0.5

    class Uneven(Noise):
        def __call__(self, *about):
            return super().__call__(*about) + 0.5 * torch.linspace(-1, 1, 16)

    plain, shifted, uneven = (
        model.loss(batch, kind(0, batch.users, batch.positions)) for kind in (Noise, Shifted, Uneven)
    )
    for part in plain:
        assert shifted[part].item() == pytest.approx(plain[part].item(), abs=1e-5)
    assert abs(uneven["ranking"].item() - plain["ranking"].item()) > 1e-3


def test_how_loud_the_stream_is_matters(histories):
    assert changes("hybrid", pad(histories), {"quiet": 0.1}, REPAIRS)
