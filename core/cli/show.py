"""umbel show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from umbel.cli.found import found_plugins
from umbel.cli.targets import RECIPE

if TYPE_CHECKING:
    from umbel.registry.plugins import Plugins


@click.command()
@click.argument("recipe", required=False, type=RECIPE)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--schema", metavar="KIND", help="Document the options of a task kind, a backbone, a balancer, or 'recipe'."
)
def show(recipe: str | None, overrides: tuple[str, ...], schema: str | None) -> None:
    """Print RECIPE as it will be used: parents merged, overrides applied, defaults filled in.

    What is taken from elsewhere, such as ${oc.env:NAME}, stays as written: it may be a secret.
    """
    found = found_plugins()
    if schema is not None:
        click.echo(_schema(schema, found))
        return
    if recipe is None:
        raise click.UsageError("give a RECIPE, or --schema KIND")
    import yaml
    from omegaconf import OmegaConf

    from umbel.config.edit import as_written
    from umbel.config.load import load_recipe
    from umbel.io.text import printable_lines

    loaded = load_recipe(recipe, overrides, found)
    typed, tree = loaded.typed, loaded.tree
    written = as_written(tree, typed)
    text = OmegaConf.to_yaml(written).rstrip()
    if printable_lines(text) != text:  # a name acts on the terminal: YAML has escapes of its own
        text = yaml.safe_dump(OmegaConf.to_container(written), sort_keys=False).rstrip()
    click.echo(text)


def _schema(name: str, found: Plugins) -> str:
    from umbel.config.balancing import BalancerConfig
    from umbel.config.growth import GrowthConfig
    from umbel.config.schema import BackboneConfig, OptimConfig, Recipe, TrainConfig
    from umbel.contract.source_config import SourceAugment, SourceConfig
    from umbel.contract.task_config import TaskConfig, TtaConfig, TtaVariant
    from umbel.schedule.config import EarlyStopConfig, ScheduleConfig

    sections = {
        "recipe": {"recipe": Recipe, "tasks.NAME": TaskConfig, "tasks.NAME.tta": TtaConfig,
                   "tasks.NAME.tta_variants[]": TtaVariant, "sources.NAME": SourceConfig,
                   "sources.NAME.augment": SourceAugment, "backbone": BackboneConfig,
                   "optim": OptimConfig, "train": TrainConfig,
                   "train.schedule": ScheduleConfig, "train.early_stop": EarlyStopConfig,
                   "train.balancer": BalancerConfig, "growth": GrowthConfig},
    }  # fmt: skip
    if name in sections:
        return "\n\n".join(_section(title, options) for title, options in sections[name].items())
    keys = {"backbone": "backbone.options", "balancer": "train.balancer.options", "task": "tasks.NAME.options"}
    role = next((r for r in ("backbone", "balancer") if name in {o.name for o in found.registered(r)}), "task")
    key = keys[role]
    return _section(f"{key} of {role} '{name}'", found.find(role, name, "--schema").load().Options)  # type: ignore[attr-defined]


def _section(title: str, options: type) -> str:
    import dataclasses
    import json

    from umbel.contract.options import MISSING, option_docs

    lines = [f"{title}:"]
    docs = option_docs(options)
    for field in dataclasses.fields(options):
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        else:
            default = field.default
        if default is dataclasses.MISSING or default == MISSING:
            text = "required"
        elif dataclasses.is_dataclass(default):
            text = "see below"
        else:
            text = json.dumps(default, default=str)
        lines.append(f"  {field.name} = {text}")
        if docs[field.name]:
            lines.append(f"      {docs[field.name]}")
    return "\n".join(lines)
