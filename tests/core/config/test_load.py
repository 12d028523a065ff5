"""Recipes: what is read, what is refused, and how the refusal reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys import TOY_RECIPE, BrightTask, ToyPlugin

from umbel import check_range, hookimpl, option
from umbel.config.check import build_recipe
from umbel.config.load import load_recipe
from umbel.config.schema import Recipe
from umbel.contract.errors import ConfigError, PluginError, UmbelError
from umbel.contract.task_config import TaskConfig
from umbel.registry.plugins import Plugin, Plugins

NewPlugins = Callable[[], Plugins]


@pytest.fixture
def plugins(new_plugins: NewPlugins) -> Plugins:
    return new_plugins()


@pytest.fixture
def load(recipe_file: Path, plugins: Plugins) -> Callable[..., Recipe]:
    """Loads a recipe text with overrides."""

    def go(*overrides: str, text: str = TOY_RECIPE) -> Recipe:
        recipe_file.write_text(text)
        return load_recipe(str(recipe_file), overrides, plugins).typed

    return go


def test_recipe_is_typed_down_to_the_options_of_plugins(load: Callable[..., Recipe]) -> None:
    recipe = load()
    first = recipe.tasks["first"]
    assert isinstance(first, TaskConfig)
    assert first.input_size == (32, 48)
    assert type(first.options) is BrightTask.Options
    assert first.options == BrightTask.Options(count=12, threshold=128)
    assert recipe.backbone.options.width == 8
    assert list(recipe.tasks) == ["first", "second"]


def test_overrides_change_drop_and_add(load: Callable[..., Recipe]) -> None:
    recipe = load(
        "train.steps=7",
        "tasks.first.options.threshold=99",
        "tasks.second=null",
        "tasks.third.kind=bright",
        "tasks.third.input_size=[8,16]",
    )
    assert recipe.train.steps == 7
    assert recipe.tasks["first"].options.threshold == 99
    assert list(recipe.tasks) == ["first", "third"]
    assert recipe.tasks["third"].input_size == (8, 16)


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("trian.steps=3", ["trian", "Did you mean: 'train'?"]),
        ("train.stps=3", ["train.stps", "Did you mean: 'steps'?"]),
        ("optim.learning=3", ["optim.learning", "not in 'OptimConfig'"]),
        ("backbone.options.wdth=3", ["backbone.options.wdth", "TinyOptions", "Did you mean: 'width'?"]),
        ("tasks.first.batchsize=3", ["tasks.first.batchsize", "Did you mean: 'batch_size'?"]),
        ("tasks.first.tta.hflp=true", ["tasks.first.tta.hflp", "Did you mean: 'hflip'?"]),
        ("tasks.first.options.cuont=3", ["tasks.first.options.cuont", "BrightOptions", "Did you mean: 'count'?"]),
        ("tasks.first.kind=brigth", ["tasks.first.kind", "did you mean 'bright'?", "bright (toy-tasks)"]),
        ("backbone.name=tinny", ["backbone.name", "did you mean 'tiny'?", "tiny (toy-tasks)"]),
        ("tasks.frist=null", ["tasks.frist", "no task 'frist' to drop", "did you mean 'first'?"]),
    ],
)
def test_unknown_key_is_named_in_full_with_a_suggestion(
    load: Callable[..., Recipe], override: str, parts: list[str]
) -> None:
    with pytest.raises(UmbelError) as caught:
        load(override)
    assert "toy.yaml" in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("tasks.first.batch_size=0", "batch_size is 0"),
        ("tasks.first.workers=-1", "workers is -1"),
        ("tasks.first.weight=.nan", "weight is nan"),
        ("tasks.first.tta.scales=[1,0]", "tta.scales is 0.0"),
        ("tasks.first.tta.scales=[]", "tta.scales is []"),
        ("tasks.first.tta.sizes=[[8]]", "tta.sizes is"),
        ("tasks.first.input_size=[0,8]", "input_size is"),
        ("optim.schedule=linear", "choose one of 'cosine', 'constant'"),
        ("optim.lr=-1", "lr is -1"),
        ("optim.betas=[0.9]", "betas is"),
        ("optim.betas=[0.9,1.0]", "betas is 1.0"),
        ("optim.eps=-1", "eps is"),
        ("optim.weight_decay=-1", "weight_decay is"),
        ("optim.clip_norm=-1", "clip_norm is"),
        ("optim.clip_norm=0", "clip_norm is"),
        ("train.steps=0", "steps is 0"),
        ("train.epochs=-1", "epochs is"),
        ("train.log_every=0", "log_every is 0"),
        ("train.eval_every=-1", "eval_every is"),
        ("train.precision=fp16", "choose one of 'auto', 'fp32', 'bf16'"),
        ("train.ema_decay=1", "ema_decay is"),
        ("train.seed=-1", "seed is -1"),
    ],
)
def test_value_out_of_range_names_its_key(load: Callable[..., Recipe], override: str, key: str) -> None:
    section = ".".join(override.split("=")[0].split(".")[: 2 if override.startswith("tasks") else 1])
    with pytest.raises(ConfigError) as caught:
        load(override)
    assert f"toy.yaml: {section}" in str(caught.value)
    assert key in str(caught.value)


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("tasks.first.options.count=many", "tasks.first.options.count: Value 'many'"),
        ("tasks.first.options=3", "tasks.first.options: "),
        ("tasks.first.options=null", "tasks.first.options (bright from toy-tasks): is null; expected a mapping"),
        ("backbone.options=null", "backbone.options: is null; expected a mapping"),
        ("train.balancer.options=null", "train.balancer.options: is null; expected a mapping"),
        ("tasks.first.batch_size=[1]", "tasks.first.batch_size: "),
        ("tasks.first.input_size=[8]", "tasks.first.input_size: "),
        ("tasks.first.input_size=[8,x]", "tasks.first.input_size: "),
        ("tasks.first.tta=[1]", "tasks.first.tta: "),
        ("train.channels_last=perhaps", "train.channels_last: "),
        ("train=null", "train: "),
        ("optim=[1]", "optim: "),
        ("score=[1]", "score: "),
    ],
)
def test_value_of_the_wrong_type_names_its_key(load: Callable[..., Recipe], override: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(override)
    assert key in str(caught.value)
    assert "$VALUE" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_values_are_listed_all_at_once(load: Callable[..., Recipe]) -> None:
    text = "backbone: {name: tiny}\ntasks: {a: {kind: bright}, b: {kind: bright}}\n"
    with pytest.raises(ConfigError, match=r"missing values: tasks\.a\.input_size, tasks\.b\.input_size"):
        load(text=text)


def test_ranges_of_a_plugins_options_name_task_kind_and_distribution(recipe_file: Path) -> None:
    @dataclass
    class Options:
        share: float = option(0.5, "a share")

        def __post_init__(self) -> None:
            check_range("share", self.share, 0, 1)

    class Sharing(BrightTask):
        pass

    Sharing.Options = Options

    class SharingPlugin:
        @hookimpl
        def umbel_tasks(self) -> dict[str, type]:
            return {"sharing": Sharing}

    plugins = Plugins()
    plugins.register(ToyPlugin(), Plugin("toy-tasks", "1", "toys"))
    plugins.register(SharingPlugin(), Plugin("umbel-share", "1", "x"))
    recipe_file.write_text(
        "backbone: {name: tiny}\ntasks: {a: {kind: sharing, input_size: [8, 8], options: {share: 1.5}}}"
    )
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(recipe_file), (), plugins)
    assert "tasks.a.options (sharing from umbel-share): share is 1.5; it must lie in 0..1" in str(caught.value)


BASE = "backbone: {name: tiny}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks: [", r"toy.yaml: is not valid YAML: .* in line \d"),
        ("train:\n  steps: 1\n  steps: 2\n", "found duplicate key steps in line 3"),
        ("a: !!python/object/apply:os.getcwd []", "which names code"),
        ("a: !!python/name:os.getcwd ''", "which names code"),
        ("\0", "is not valid YAML"),
        ("[" * 5000, "nests more than 50 deep"),
        ("a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
         "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n", "limit"),
        ("- a\n- b\n", "must be a mapping"),
        ("just words", "toy.yaml"),
        ("3", "toy.yaml"),
        ("", "the recipe has no task"),
        (BASE + "tasks: null", "the recipe has no task"),
        (BASE + "tasks: ???", "the recipe has no task"),
        (BASE + "tasks: {}", "the recipe has no task"),
        (BASE + "tasks: words", "tasks: must map task names to tasks"),
        (BASE + "tasks: [bright]", "tasks: must map task names to tasks"),
        (BASE + "tasks: {a: bright}", r"tasks\.a\.kind: missing value"),
        (BASE + "tasks: {a: {batch_size: 3}}", r"tasks\.a\.kind: missing value"),
        (BASE + "tasks: {items: {kind: bright, input_size: [8, 8]}}", "'items' is a reserved word"),
        (BASE + "tasks: {train: {kind: bright, input_size: [8, 8]}}", "'train' is a reserved word"),
        (BASE + "tasks: {Road: {kind: bright, input_size: [8, 8]}}", "'Road' is not of the form"),
        (BASE + "tasks: {1: {kind: bright, input_size: [8, 8]}}", "'1' is not of the form"),
        (BASE + "tasks: {a/b: {kind: bright, input_size: [8, 8]}}", "'a/b' is not of the form"),
        (BASE + "tasks: ${oc.env:UMBEL_TEST_UNSET}", "UMBEL_TEST_UNSET"),
        (BASE + "tasks: {a: {kind: '${oc.env:UMBEL_TEST_UNSET}'}}", "UMBEL_TEST_UNSET"),
        (BASE + "defaults: 5", "defaults: must be a recipe or a list of recipes, not 5"),
        (BASE + "defaults: {a: b}", "defaults: must be a recipe or a list of recipes"),
        (BASE + "defaults: nowhere.yaml", "no recipe 'nowhere.yaml'"),
    ],
)  # fmt: skip
def test_recipe_that_cannot_be_used_is_refused_in_one_line(
    load: Callable[..., Recipe], text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(text=text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("override", ["train.steps", "=3", "train.steps=[1", "a={", "tasks.first.b[=1", "..=1"])
def test_override_that_cannot_be_read_is_refused(load: Callable[..., Recipe], override: str) -> None:
    with pytest.raises(ConfigError):
        load(override)


def test_files_that_are_no_recipes_are_refused(plugins: Plugins, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no recipe 'missing\.yaml'.*named recipes: none"):
        load_recipe("missing.yaml", (), plugins)
    with pytest.raises(ConfigError, match="no recipe"):
        load_recipe(str(tmp_path), (), plugins)
    huge = tmp_path / "huge.yaml"
    huge.write_text("a: " + "x" * 1_000_001)
    with pytest.raises(ConfigError, match=r"huge\.yaml: is larger than 1,000,000 bytes"):
        load_recipe(str(huge), (), plugins)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"tasks: \xff\xfe\x80")
    with pytest.raises(ConfigError, match=r"binary\.yaml"):
        load_recipe(str(binary), (), plugins)


class NamedRecipes:
    def __init__(self, paths: dict[str, str]) -> None:
        self.paths = paths

    @hookimpl
    def umbel_recipes(self) -> dict[str, str]:
        return self.paths


def test_defaults_merge_names_lists_and_files_in_order(plugins: Plugins, tmp_path: Path) -> None:
    (tmp_path / "named.yaml").write_text(TOY_RECIPE)
    plugins.register(NamedRecipes({"toy": str(tmp_path / "named.yaml")}), Plugin("umbel-r", "1", "r"))
    (tmp_path / "faster.yaml").write_text("train: {steps: 3, log_every: 2}\ntasks: {second: null}\n")
    (tmp_path / "child.yaml").write_text(
        "defaults: [toy, faster.yaml]\ntrain: {steps: 4}\ntasks: {first: {batch_size: 2}}\n"
    )
    (tmp_path / "grandchild.yaml").write_text("defaults: child.yaml\noptim: {lr: 0.5}\n")
    loaded = load_recipe(str(tmp_path / "grandchild.yaml"), ("optim.warmup_steps=9",), plugins)
    recipe, tree = loaded.typed, loaded.tree
    assert (recipe.train.steps, recipe.train.log_every, recipe.optim.lr, recipe.optim.warmup_steps) == (4, 2, 0.5, 9)
    assert list(recipe.tasks) == ["first"]
    assert recipe.tasks["first"].batch_size == 2
    assert recipe.tasks["first"].input_size == (32, 48)
    assert "defaults" not in tree


def test_recipe_that_inherits_from_itself_is_refused(plugins: Plugins, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("defaults: b.yaml\n")
    (tmp_path / "b.yaml").write_text("defaults: [a.yaml]\n")
    with pytest.raises(ConfigError, match="inherits from itself"):
        load_recipe(str(tmp_path / "a.yaml"), (), plugins)


def test_named_recipe_that_two_distributions_offer_must_be_qualified(plugins: Plugins, tmp_path: Path) -> None:
    (tmp_path / "named.yaml").write_text(TOY_RECIPE)
    plugins.register(NamedRecipes({"toy": str(tmp_path / "named.yaml")}), Plugin("umbel-r", "1", "r"))
    plugins.register(NamedRecipes({"toy": "elsewhere.yaml"}), Plugin("umbel-s", "1", "s"))
    with pytest.raises(PluginError, match="umbel-r:r 1 and umbel-s:s 1"):
        load_recipe("toy", (), plugins)
    assert list(load_recipe("umbel-r/toy", (), plugins).typed.tasks) == ["first", "second"]


def test_interpolation_is_resolved_in_the_recipe_and_kept_in_the_tree(
    plugins: Plugins, recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UMBEL_TEST_SEED", "41")
    recipe_file.write_text(TOY_RECIPE + "\nscore: mean\n")
    loaded = load_recipe(str(recipe_file), ("train.seed=${oc.env:UMBEL_TEST_SEED}",), plugins)
    recipe, tree = loaded.typed, loaded.tree
    assert recipe.train.seed == 41
    assert "41" not in yaml.safe_dump(str(tree))


SCALARS = st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["train", "train.steps", "train.seed", "optim.betas", "optim.clip_norm", "score", "tasks", "tasks.first",
     "tasks.first.kind", "tasks.first.input_size", "tasks.first.options", "tasks.first.options.count", "backbone",
     "tasks.first.tta.sizes", "backbone.name", "backbone.options", "defaults", "x"]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=KEYS, value=VALUES)
def test_any_override_gives_a_recipe_or_one_of_umbels_errors(
    plugins: Plugins, recipe_file: Path, key: str, value: Any
) -> None:
    override = f"{key}={yaml.safe_dump(value, default_flow_style=True, allow_unicode=True).removesuffix('...')}"
    try:
        loaded = load_recipe(str(recipe_file), (override,), plugins)
    except UmbelError:
        return
    assert isinstance(loaded.typed, Recipe)
    assert build_recipe(loaded.tree, plugins, "again") == loaded.typed


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.integers(1, 10**6),
    lr=st.floats(0, 100),
    seed=st.integers(0, 2**63 - 1),
    count=st.integers(-(2**40), 2**40),
)
def test_override_arrives_with_its_exact_value(
    plugins: Plugins, recipe_file: Path, steps: int, lr: float, seed: int, count: int
) -> None:
    overrides = (f"train.steps={steps}", f"optim.lr={lr!r}", f"train.seed={seed}", f"tasks.first.options.count={count}")
    recipe = load_recipe(str(recipe_file), overrides, plugins).typed
    assert (recipe.train.steps, recipe.optim.lr, recipe.train.seed) == (steps, lr, seed)
    assert recipe.tasks["first"].options.count == count
