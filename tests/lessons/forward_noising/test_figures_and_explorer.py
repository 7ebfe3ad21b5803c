"""The pure functions behind notebook 01's explorer and figures."""

import pytest
import torch

from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.lessons import forward_noising as lesson
from diffrec_lite.widgets import style

V, D, T = 21, 12, 8
GENRES = ["", *(("Crime", "Space", "Tales")[i % 3] for i in range(1, V))]


@pytest.fixture(scope="module")
def setting():
    generator = torch.Generator().manual_seed(0)
    vectors, noise = (torch.randn(V, D, generator=generator) for _ in range(2))
    diffusions = {name: GaussianDiffusion.of(name, T) for name in ("cosine", "linear")}
    return vectors, noise, diffusions


def test_the_plane_is_orthonormal_and_keeps_the_centres_of_the_genres_apart(setting):
    vectors, _, _ = setting
    axes = lesson.explorer.plane(vectors, GENRES)
    assert torch.allclose(axes.T @ axes, torch.eye(2, dtype=torch.float64), atol=1e-10)
    assert bool((axes.gather(0, axes.abs().argmax(0, keepdim=True)) > 0).all())
    centres = torch.stack(list(lesson.explorer.centres(vectors, GENRES).values()))  # three, so a plane holds them all
    assert torch.allclose(torch.pdist(centres @ axes), torch.pdist(centres))
    crime = vectors[[i for i in range(1, V) if GENRES[i] == "Crime"]].double().mean(0)
    assert torch.allclose(centres[0], crime)


def test_the_share_that_a_plane_shows_is_all_on_all_axes(setting):
    vectors, _, _ = setting
    assert lesson.explorer.share_shown(vectors, torch.eye(D, dtype=torch.float64)) == pytest.approx(1)
    one = torch.zeros(D, 1, dtype=torch.float64)
    one[3] = 1
    variance = vectors[1:].double().var(0)
    assert lesson.explorer.share_shown(vectors, one) == pytest.approx(float(variance[3] / variance.sum()))


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


def test_the_explorer_holds_what_the_functions_say(setting):
    vectors, noise, diffusions = setting
    titles = ["", *[f"Book {i}" for i in range(1, V)]]
    explorer = lesson.explorer.cloud_explorer(vectors, titles, GENRES, noise, diffusions, [4, 7])
    assert repr(explorer).startswith("Explorer: ")
    bundle, metadata = explorer._repr_mimebundle_()
    assert bundle["image/png"] and metadata["image/png"]["alt"]
    clean = torch.tensor(explorer.data["clean"])
    assert torch.allclose(clean.double(), vectors.double() @ lesson.explorer.plane(vectors, GENRES), atol=6e-4)
    assert explorer.data["first"]["x0"] == pytest.approx(vectors[[4, 7], 0].tolist(), abs=6e-4)
    assert explorer.data["first"]["noise"] == pytest.approx(noise[[4, 7], 0].tolist(), abs=6e-4)
    before = explorer.picture()
    explorer.t = T
    assert explorer.picture() != before
    assert explorer.shows() == f"{next(iter(diffusions))}, t = {T}"


@pytest.mark.parametrize(("kept", "answer"), [(2, "about as many"), (D, "hardly any")])
def test_the_answer_to_the_question_is_counted(kept, answer):
    """Vectors that vary on two axes alone lose nothing on the plane; vectors of many equal axes lose nearly all."""
    generator = torch.Generator().manual_seed(1)
    vectors, noise = (torch.randn(60, D, generator=generator) for _ in range(2))
    genres = ["", *(("Crime", "Space", "Tales")[i % 3] for i in range(1, 60))]
    vectors[:, kept:] = 0
    noise[:, kept:] = 0
    asked = lesson.explorer.asked(2 * vectors, genres, noise, GaussianDiffusion.of("cosine", T))
    assert asked["options"][asked["right"]] == answer
    assert f"by all {D} of them" in asked["told"]


def test_the_genre_of_the_followed_book_stands_out(setting):
    vectors, noise, diffusions = setting
    data = lesson.explorer.cloud(vectors, ["a"] * V, GENRES, noise, diffusions, [4])
    fig = lesson.figures.dissolve(data, steps=(0, 2))
    shown = {points.get_label(): points for points in fig.axes[0].collections}
    own, others = shown["noised, its genre"], shown["noised, tinted by genre"]
    assert len(own.get_offsets()) == GENRES.count(GENRES[4])
    assert own.get_linewidths()[0] > others.get_linewidths()[0]


def test_every_figure_draws(setting):
    vectors, noise, diffusions = setting
    data = lesson.explorer.cloud(vectors, ["a"] * V, GENRES, noise, diffusions, [4])
    for fig in (
        lesson.figures.schedules(diffusions),
        lesson.figures.variances({"right": [1, 1, 1], "wrong": [1, 2, 3]}),
        lesson.figures.recovered({"cosine": torch.linspace(1, 0, T + 1)}),
        lesson.figures.dissolve(data, steps=(0, 2, 8)),
        lesson.figures.state(data, t=2),
    ):
        assert style.png(fig).startswith(b"\x89PNG")
