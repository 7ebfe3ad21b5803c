"""Settings refuse what makes no sense, say which one it is, and come back from a file as they were."""

import dataclasses
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.small import ITEMS, VARIANTS, make

from diffrec_lite import models
from diffrec_lite.models import MODELS, DCRec, ModelError, SettingError
from diffrec_lite.models.packed import pack
from diffrec_lite.models.settings import Settings, choice, number

CLASSES = sorted({model.Settings for model in MODELS.values()}, key=lambda one: one.__name__)
KINDS = ("bool", "str", "int", "float")
EVERY_SETTING = [(one, field) for one in CLASSES for field in dataclasses.fields(one)]

WRONG = {
    "bool": st.one_of(st.integers(), st.text(), st.none(), st.floats(), st.just([])),
    "int": st.one_of(st.floats(), st.text(), st.booleans(), st.just([3])),
    "float": st.one_of(
        st.text(), st.booleans(), st.none(), st.just([0.1]), st.sampled_from([math.nan, math.inf, -math.inf])
    ),
    "str": st.one_of(st.integers(), st.none(), st.booleans(), st.text()),
}


def kind_of(field: dataclasses.Field) -> str:
    return next(kind for kind in KINDS if kind in field.type)


def outside(field: dataclasses.Field) -> st.SearchStrategy | None:
    """Numbers beyond a setting's range, or None where it has no range."""
    numbers = st.integers if kind_of(field) == "int" else lambda **ends: st.floats(allow_infinity=False, **ends)
    low, above, high = (field.metadata.get(name) for name in ("at_least", "above", "at_most"))
    ranges = []
    if low is not None:
        ranges.append(numbers(max_value=low).filter(lambda value: value < low))
    if above is not None:
        ranges.append(numbers(max_value=above))
    if high is not None:
        ranges.append(numbers(min_value=high).filter(lambda value: value > high))
    return st.one_of(ranges) if ranges else None


@settings(deadline=None, max_examples=400)
@given(setting=st.sampled_from(EVERY_SETTING), data=st.data())
def test_a_wrong_type_is_refused_by_name(setting, data):
    one, field = setting
    value = data.draw(WRONG[kind_of(field)])
    if kind_of(field) == "str" and value in field.metadata["choices"]:
        return
    with pytest.raises(SettingError, match=f"^{field.name} must be "):
        one.of("model", **{field.name: value})


@settings(deadline=None, max_examples=400)
@given(
    setting=st.sampled_from([(one, field) for one, field in EVERY_SETTING if outside(field) is not None]),
    data=st.data(),
)
def test_a_number_outside_its_range_is_refused_by_name(setting, data):
    one, field = setting
    value = data.draw(outside(field))
    with pytest.raises(SettingError, match=f"^{field.name} must be (at least|at most|greater than) .*, got "):
        one.of("model", **{field.name: value})


@pytest.mark.parametrize("one", CLASSES)
def test_the_ends_of_a_range_are_allowed(one):
    for field in dataclasses.fields(one):
        for end in ("at_least", "at_most"):
            if field.metadata.get(end) is not None:
                assert getattr(one.of("model", **{field.name: field.metadata[end]}), field.name) == field.metadata[end]


@settings(deadline=None, max_examples=50)
@given(value=st.integers(0, 10**400))
def test_whole_numbers_serve_where_a_number_is_asked(value):
    try:
        found = DCRec.Settings(delta=value).delta
    except SettingError as refused:
        assert "delta must be a finite number" in str(refused) and value > 10**300
    else:
        assert type(found) is float and found == float(value)


def test_only_what_may_be_none_is_none():
    assert DCRec.Settings(sampling_steps=None).sampling_steps is None
    for name in ("T", "delta", "schedule", "implicit", "max_len"):
        with pytest.raises(SettingError, match=f"^{name} must be"):
            DCRec.Settings(**{name: None})


def test_not_a_number_is_refused_everywhere():
    for one, field in EVERY_SETTING:
        if kind_of(field) == "float":
            for value in (math.nan, math.inf, -math.inf):
                with pytest.raises(SettingError, match=f"^{field.name} must be a finite number"):
                    one.of("model", **{field.name: value})


@pytest.mark.parametrize("name", list(MODELS))
def test_an_unknown_setting_is_named_beside_the_known_ones(name):
    with pytest.raises(SettingError) as refused:
        models.build(name, ITEMS, width=3)
    message = str(refused.value)
    assert message.startswith(f"{name} has no setting 'width'; it has ")
    assert message.split("it has ")[1].split(", ") == sorted(MODELS[name].Settings.defaults())


def test_settings_cannot_be_changed_by_hand_but_replaced():
    model = make("dcrec")
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.settings.delta = 3.0
    assert dataclasses.replace(model.settings, delta=3).delta == 3.0
    with pytest.raises(SettingError, match="delta must be at least 0"):
        dataclasses.replace(model.settings, delta=-1)


def test_every_setting_is_inherited_or_overruled():
    assert DCRec.Settings.defaults()["sampling_steps"] == 1
    assert set(MODELS["diffurec"].Settings.defaults()) == set(MODELS["diffurecsys"].Settings.defaults())
    assert MODELS["diffurec"].Settings().cross_attention == "none"
    assert MODELS["diffurecsys"].Settings().cross_attention == "efficient"


def test_a_set_of_settings_is_a_dataclass_with_ranges():
    @dataclasses.dataclass(frozen=True)
    class Tea(Settings):
        cups: int = number(2, at_least=1, at_most=9)
        strength: float = number(0.5, above=0)
        sugar: float | None = number(None, at_least=0)
        kind: str = choice("black", "green")
        hot: bool = True

    assert Tea(cups=9, strength=1, sugar=2).as_dict() == {
        "cups": 9,
        "strength": 1.0,
        "sugar": 2,
        "kind": "black",
        "hot": True,
    }
    for wrong, message in [
        ({"cups": 10}, "cups must be at most 9, got 10"),
        ({"cups": 2.0}, "cups must be a whole number, got 2.0"),
        ({"strength": 0}, "strength must be greater than 0, got 0.0"),
        ({"strength": "x"}, "strength must be a number, got 'x'"),
        ({"sugar": -1.0}, "sugar must be at least 0, got -1.0"),
        ({"kind": "white"}, "kind must be one of black, green, got 'white'"),
        ({"kind": 3}, "kind must be a word, got 3"),
        ({"hot": 1}, "hot must be true or false, got 1"),
    ]:
        with pytest.raises(SettingError) as refused:
            Tea(**wrong)
        assert str(refused.value) == message


@pytest.mark.parametrize("wrong", [0, -3])
def test_an_empty_catalogue_is_refused(wrong):
    with pytest.raises(ModelError, match="num_items must be at least 1"):
        models.build("dcrec", wrong)


def test_unknown_models_and_impossible_widths_are_refused():
    with pytest.raises(ModelError, match="unknown model 'dcrek'; choose one of popularity, recent, markov, gap, ridge"):
        models.build("dcrek", ITEMS)
    for name in ("diffurec", "dcrec", "sasrec"):
        with pytest.raises(ValueError, match="multiple"):
            models.build(name, ITEMS, d=16, heads=3)
    with pytest.raises(ValueError, match="even"):
        models.build("dcrec", ITEMS, d=15, heads=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"implicit": False, "explicit": False}, "both off"),
        ({"causal": True}, "positions 'relative' or 'none'"),
        ({"causal": True, "positions": "after"}, "positions 'relative' or 'none'"),
        ({"causal": True, "positions": "none", "mask_rows": True}, "no mask_rows"),
        ({"causal": True, "positions": "none", "noise_on": "target"}, "noised everywhere"),
        ({"causal": True, "positions": "none", "delta_in_training": True}, "its own target"),
        ({"step_for_each": True}, "step_for_each belongs to causal"),
    ],
)
def test_combinations_of_dcrec_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ModelError, match=message):
        models.build("dcrec", ITEMS, **settings)


# ---------------------------------------------------------------- through a file


@pytest.mark.parametrize("variant", VARIANTS)
def test_settings_come_back_from_a_file(variant, tmp_path):
    name, settings = VARIANTS[variant]
    model = make(name, **settings)
    model.save_pretrained(tmp_path)
    loaded = models.load(tmp_path)
    assert loaded.settings == model.settings and type(loaded.settings) is type(model.settings)
    assert loaded.learns_from == model.learns_from and loaded.config == model.config
    config = json.loads((tmp_path / "config.json").read_text())
    assert config == model.config and {"model", "num_items", "max_len"} <= config.keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"detach": True}, "dcrec has no setting 'detach'; it has T, blocks, causal"),  # a name that is gone
        ({"positions": True}, "positions must be a word, got True"),  # a setting that was of another type
        ({"delta": -1.0}, "delta must be at least 0"),
        ({"num_items": 0}, "num_items must be at least 1"),
        ({"num_items": "thirty"}, "not supported"),
        ({"num_items": ITEMS + 1}, "size mismatch"),
        ({"blocks": 3}, "Missing key"),
    ],
)
def test_a_config_of_an_older_version_is_refused_with_its_file(change, message, tmp_path):
    model = make("dcrec")
    config = {**model.config, **change}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(pack(model.state_dict(), {"config": config}))
    for read in (models.load, DCRec.from_pretrained):
        with pytest.raises(ModelError, match=message) as refused:
            read(tmp_path)
        weights = message in ("size mismatch", "Missing key")
        assert str(refused.value).startswith(str(tmp_path / ("model.safetensors" if weights else "config.json")))


def test_a_config_without_its_catalogue_is_refused(tmp_path):
    make("dcrec").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["num_items"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="num_items"):
        models.load(tmp_path)
