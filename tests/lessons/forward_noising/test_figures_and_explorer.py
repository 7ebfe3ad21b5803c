"""The pure functions behind notebook 01's explorer and figures."""

import pytest
import torch

from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.lessons import forward_noising as lesson
from diffrec_lite.widgets import style

V, D, T = 21, 12, 8


@pytest.fixture(scope="module")
def setting():
    generator = torch.Generator().manual_seed(0)
    vectors, noise = (torch.randn(V, D, generator=generator) for _ in range(2))
    diffusions = {name: GaussianDiffusion.of(name, T) for name in ("cosine", "linear")}
    return vectors, noise, diffusions


def test_the_plane_is_orthonormal_and_keeps_the_most_variance(setting):
    vectors, _, _ = setting
    axes = lesson.explorer.plane(vectors)
    assert torch.allclose(axes.T @ axes, torch.eye(2, dtype=torch.float64), atol=1e-10)
    kept = (vectors[1:].double() @ axes).var(0)
    largest = torch.linalg.eigvalsh(vectors[1:].double().T.cov()).flip(0)[:2]
    assert torch.allclose(kept, largest)
    assert bool((axes.gather(0, axes.abs().argmax(0, keepdim=True)) > 0).all())


def test_clean_books_round_to_themselves_and_noise_does_not(setting):
    vectors, noise, diffusions = setting
    items = torch.arange(1, V)
    ranks = lesson.explorer.true_ranks(diffusions["cosine"], vectors, noise[items], items)
    assert ranks.shape == (T + 1, V - 1)
    assert bool((ranks[0] == 1).all())
    assert ranks[T].double().mean() > 4


def test_the_rank_agrees_with_the_nearest_books(setting):
    vectors, noise, diffusions = setting
    items = torch.tensor([3, 9, 20])
    ranks = lesson.explorer.true_ranks(diffusions["cosine"], vectors, noise[items], items)
    order = lesson.explorer.nearest(diffusions["cosine"], vectors, noise[items], items, k=V - 1)
    found = (order == items[None, :, None]).int().argmax(-1) + 1
    assert torch.equal(found, ranks)


def test_nearest_is_nearest_in_plain_distance(setting):
    vectors, noise, diffusions = setting
    diffusion, items = diffusions["cosine"], torch.tensor([5])
    t = 3
    xt = diffusion.q_sample(vectors[items].double(), t, noise[items].double()) / diffusion.abar[t].sqrt()
    distance = torch.cdist(xt, vectors[1:].double())[0]
    assert int(lesson.explorer.nearest(diffusion, vectors, noise[items], items)[t, 0, 0]) == int(distance.argmin()) + 1


def test_the_explorer_shows_what_the_functions_say(setting):
    vectors, noise, diffusions = setting
    titles = ["", *[f"Book {i}" for i in range(1, V)]]
    explorer = lesson.explorer.cloud_explorer(vectors, titles, ["-"] * V, noise, diffusions, [4, 7])
    assert repr(explorer).startswith("Explorer: ")
    assert lesson.explorer.readout(explorer.data, 0, 1, 0) == "Book 7 rounds to Book 7. Its own rank is 1."
    bundle, metadata = explorer._repr_mimebundle_()
    assert bundle["image/png"] and metadata["image/png"]["alt"]
    clean = torch.tensor(explorer.data["clean"])
    assert torch.allclose(clean.double(), vectors.double() @ lesson.explorer.plane(vectors), atol=6e-4)


def test_the_genre_of_the_followed_book_stands_out(setting):
    vectors, noise, diffusions = setting
    genres = ["", *("Crime" if i % 3 else "Tales" for i in range(1, V))]
    data = lesson.explorer.cloud(vectors, ["a"] * V, genres, noise, diffusions, [4])
    fig = lesson.figures.dissolve(data, steps=(0, 2))
    shown = {points.get_label(): len(points.get_offsets()) for points in fig.axes[0].collections}
    assert (shown["noised, its genre"], shown["noised books"]) == (genres.count("Crime"), genres.count("Tales"))


def test_every_figure_draws(setting):
    vectors, noise, diffusions = setting
    data = lesson.explorer.cloud(vectors, ["a"] * V, ["-"] * V, noise, diffusions, [4])
    for fig in (
        lesson.figures.schedules(diffusions),
        lesson.figures.variances({"right": [1, 1, 1], "wrong": [1, 2, 3]}),
        lesson.figures.recovered({"cosine": torch.linspace(1, 0, T + 1)}),
        lesson.figures.dissolve(data, steps=(0, 2, 8)),
    ):
        assert style.png(fig).startswith(b"\x89PNG")
