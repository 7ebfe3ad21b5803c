"""The layers against PyTorch's own, and the invariants that masks and conditions must keep."""

import pytest
import torch
from torch import nn

from diffrec_lite.layers import (
    Attention,
    CondLN,
    EfficientAttention,
    FeedForward,
    PlainLN,
    Positions,
    RelativePositions,
    StepEmbedding,
    TransformerBlock,
    causal_mask,
    key_mask,
    last_query,
    row_mask,
    sinusoid,
)

B, L, D, H = 3, 6, 16, 4


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def valid() -> torch.Tensor:
    return torch.tensor([[0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1]], dtype=torch.bool)


def pytorch_attention(ours: Attention) -> nn.MultiheadAttention:
    theirs = nn.MultiheadAttention(D, H, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    return theirs


def test_attention_and_its_weights_equal_pytorch(valid):
    ours = Attention(D, H)
    x, context = torch.randn(B, 4, D), torch.randn(B, L, D)
    expected, weights = pytorch_attention(ours)(
        x, context, context, key_padding_mask=~valid, average_attn_weights=False
    )
    assert torch.allclose(ours(x, context, key_mask(valid)), expected, atol=1e-6)
    assert torch.allclose(ours.weights(x, context, key_mask(valid)), weights, atol=1e-6)


def test_padding_never_changes_attention(valid):
    block = TransformerBlock(D, H)
    x = torch.randn(B, L, D)
    other = torch.where(valid[..., None], x, torch.randn(B, L, D))
    for mask in (key_mask(valid), causal_mask(valid)):
        assert torch.allclose(block(x, mask)[valid], block(other, mask)[valid], atol=1e-6)


def test_row_mask_lets_padding_in(valid):
    """Ledger 9 and 16: the mask on query rows hides nothing."""
    block = TransformerBlock(D, H)
    x = torch.randn(B, L, D)
    other = torch.where(valid[..., None], x, torch.randn(B, L, D))
    changed = (block(x, row_mask(valid)) - block(other, row_mask(valid))).abs().amax(-1)
    assert bool((changed[0, 3:] > 1e-3).all()) and bool((changed[1] < 1e-5).all())


def test_causal_mask_hides_the_future(valid):
    block = TransformerBlock(D, H)
    x = torch.randn(B, L, D)
    later = x.clone()
    later[:, -1] += 1
    mask = causal_mask(valid)
    assert torch.allclose(block(x, mask)[1, :-1], block(later, mask)[1, :-1], atol=1e-6)
    assert bool(torch.isfinite(block(x, mask)).all())


def test_a_context_can_be_read_once_and_looked_up_often(valid):
    layer, mask = Attention(D, H), key_mask(valid)
    context = torch.randn(B, L, D)
    read = layer.read(context)
    assert read[0].shape == read[1].shape == (B, H, L, D // H)
    for _ in range(3):
        x = torch.randn(B, 4, D)
        assert torch.equal(layer.look_up(x, read, mask), layer(x, context, mask))


@pytest.mark.parametrize("make_mask", [key_mask, causal_mask, row_mask, lambda valid: None])
def test_the_last_position_alone_is_that_of_all(valid, make_mask):
    block, x, mask = TransformerBlock(D, H), torch.randn(B, L, D), make_mask(valid)
    last = block(x, mask, last=True)
    assert last.shape == (B, 1, D)
    assert torch.allclose(last, block(x, mask)[:, -1:], atol=1e-6)
    assert mask is None or last_query(mask).shape[-2] == 1


def test_relative_positions_are_a_number_for_each_distance(valid):
    """By the definition, entry by entry: head h, query j, key k get table[h, j - k]; hidden keys stay hidden."""
    layer = RelativePositions(H, max_len=4)  # distances beyond 4 share the last number
    torch.nn.init.normal_(layer.table)
    mask = layer(causal_mask(valid), L, L)
    for b in range(B):
        for j in range(L):
            for k in range(L):
                if k == j or (k < j and valid[b, k]):
                    assert torch.equal(mask[b, :, j, k], layer.table[:, 4 + min(j - k, 4)])
                else:
                    assert bool((mask[b, :, j, k] == -torch.inf).all())


def test_relative_positions_of_the_last_queries_are_those_of_all(valid):
    layer = RelativePositions(H, max_len=8)
    torch.nn.init.normal_(layer.table)
    whole = layer(key_mask(valid), L, L)
    assert torch.equal(layer(key_mask(valid), 2, L), whole[:, :, -2:])
    assert torch.equal(layer(key_mask(valid)[..., 3:], L - 3, L - 3), whole[:, :, 3:, 3:])  # where it begins is nothing


def test_relative_positions_are_kept_beside_the_released_mask(valid):
    layer = RelativePositions(H, max_len=8)
    torch.nn.init.normal_(layer.table)
    mask = layer(row_mask(valid), L, L)
    assert mask.shape == (B, H, L, L)
    assert torch.equal(mask[1], layer(torch.ones(B, 1, L, L, dtype=torch.bool), L, L)[1])  # a row without padding


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_added_masks_take_the_type_of_the_scores(dtype, valid):
    layer = Attention(D, H).to(dtype)
    x = torch.randn(B, L, D, dtype=dtype)
    mask = RelativePositions(H, L)(key_mask(valid), L, L)
    assert mask.dtype == torch.float32 and layer(x, x, mask).dtype == dtype


@pytest.mark.parametrize("make_mask", [key_mask, lambda valid: RelativePositions(H, L)(key_mask(valid), L, L)])
def test_attention_in_half_precision_is_that_in_full(make_mask, valid):
    """On a CPU it goes another way than the fused kernel."""
    layer, x, mask = Attention(D, H), torch.randn(B, L, D, requires_grad=True), make_mask(valid)
    found = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y = layer(x, x, mask)
        found.append((y, torch.autograd.grad(y.float().square().sum(), x)[0]))
    (full, full_gradient), (half, half_gradient) = found
    assert half.dtype == torch.bfloat16
    assert float((full - half).detach().norm() / full.detach().norm()) < 0.02
    assert float((full_gradient - half_gradient).norm() / full_gradient.norm()) < 0.02


def test_efficient_attention_is_the_product_of_two_softmaxes(valid):
    """Multiplied out, softmax(Q) softmax(K)^T is an L × M map with rows that sum to 1, applied to V."""
    layer = EfficientAttention(D, H)
    x, context = torch.randn(B, 4, D), torch.randn(B, L, D)
    q = layer.split(layer.query(x)).softmax(-1)
    k = layer.split(layer.key(context)).masked_fill(~valid[:, None, :, None], -torch.inf).softmax(-2)
    map_ = q @ k.transpose(-1, -2)
    assert torch.allclose(map_.sum(-1), torch.ones(B, H, 4), atol=1e-5)
    expected = layer.out(layer.join(map_ @ layer.split(layer.value(context))))
    assert torch.allclose(layer(x, context, valid), expected, atol=1e-5)


def test_efficient_attention_never_sees_padding(valid):
    for kind in ("positions", "heads"):
        layer = EfficientAttention(D, H, key_softmax=kind)
        context = torch.randn(B, L, D)
        other = torch.where(valid[..., None], context, torch.randn(B, L, D))
        assert torch.allclose(layer(context[:, -1:], context, valid), layer(context[:, -1:], other, valid), atol=1e-6)


def test_key_softmax_axes_differ(valid):
    layer = EfficientAttention(D, H)
    x = torch.randn(B, L, D)
    right = layer(x, x, valid)
    layer.key_softmax = "heads"
    assert not torch.allclose(layer(x, x, valid), right, atol=1e-3)


def test_cond_ln_starts_as_a_plain_layer_norm():
    layer, x = CondLN(D), torch.randn(B, L, D)
    plain = nn.functional.layer_norm(x, (D,))
    assert torch.allclose(layer(x, torch.randn(B, L, D)), plain)


def test_cond_ln_scales_and_shifts_position_by_position():
    layer = CondLN(D)
    nn.init.normal_(layer.modulation[-1].weight)
    x, condition = torch.randn(B, L, D), torch.randn(B, L, D)
    shift, scale = layer.fields(condition)
    assert torch.allclose(layer(x, condition), nn.functional.layer_norm(x, (D,)) * (1 + scale) + shift)
    other = condition.clone()
    other[:, 2] += 1
    changed = (layer(x, other) - layer(x, condition)).abs().amax(-1) > 1e-4
    assert changed[0].tolist() == [False, False, True, False, False, False]


def test_plain_layer_norm_ignores_its_condition():
    layer, x = PlainLN(D), torch.randn(B, L, D)
    nn.init.normal_(layer.weight)
    expected = nn.functional.layer_norm(x, (D,), layer.weight, layer.bias)
    for condition in (torch.randn(B, L, D), torch.zeros(())):
        assert torch.equal(layer(x, condition), expected)


def test_feed_forward_works_position_by_position():
    layer, x = FeedForward(D), torch.randn(B, L, D)
    assert torch.allclose(layer(x)[:, 2], layer(x[:, 2]), atol=1e-6)
    assert layer[0].out_features == 4 * D


def test_positions_count_from_the_end():
    positions = Positions(10, D)
    assert torch.equal(positions(torch.empty(1, 4, D)), positions(torch.empty(1, 9, D))[-4:])


def test_step_embedding_tells_steps_apart():
    steps = torch.arange(51)
    distance = torch.cdist(sinusoid(steps, D), sinusoid(steps, D))
    assert distance.fill_diagonal_(1).min() > 1e-2
    assert StepEmbedding(D)(steps).shape == (51, D)


def test_impossible_widths_are_refused():
    with pytest.raises(ValueError, match="multiple"):
        Attention(10, 4)
    with pytest.raises(ValueError, match="even"):
        StepEmbedding(7)
    with pytest.raises(ValueError, match="key_softmax"):
        EfficientAttention(8, 2, key_softmax="queries")


def test_every_sublayer_has_its_dropout():
    x, context = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    assert not Attention(8, 2, 1.0)(x, context).any()
    assert not EfficientAttention(8, 2, 1.0)(x, context).any()
    assert not FeedForward(8, 1.0)(x).any()
    assert torch.equal(TransformerBlock(8, 2, 1.0)(x), x)
    assert FeedForward(8, 1.0).eval()(x).any()
