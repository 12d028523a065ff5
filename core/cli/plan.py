"""umbel plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from umbel.cli.found import found_plugins
from umbel.cli.targets import RECIPE, look_early
from umbel.model.peaks import DEVICES

if TYPE_CHECKING:
    from umbel.workflows.plan.plan import Plan


@click.command()
@click.argument("recipe", type=RECIPE)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--gpus", type=click.IntRange(1), default=1, show_default=True, help="Devices of all nodes together.")
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, help="Machines the devices are in.")
@click.option("--memory", default="80G", show_default=True, metavar="SIZE", help="Memory of a device; 80G is 80 GiB.")
@click.option(
    "--headroom",
    type=click.FloatRange(0, 0.9),
    default=0.1,
    show_default=True,
    help="Share of the memory left for driver, workspaces and fragmentation.",
)
@click.option("--half-weights", is_flag=True, help="What bf16 weights with fp32 masters would need.")
@click.option(
    "--device",
    type=click.Choice(DEVICES, case_sensitive=False),
    help="Seconds a step at 30, 40 and 50 % of this GPU's peak.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; sizes in bytes.")
def plan(
    *,
    recipe: str,
    overrides: tuple[str, ...],
    gpus: int,
    nodes: int,
    memory: str,
    headroom: float,
    half_weights: bool,
    device: str | None,
    as_json: bool,
) -> None:
    """Predict memory, traffic and work of RECIPE at each ZeRO stage, and what fits; exit code 1 if nothing does.

    Nothing is trained and no GPU is needed: the model is built without weights.
    """
    import json

    look_early(recipe, overrides)
    from umbel.config.load import load_recipe
    from umbel.model.peaks import named_peak
    from umbel.workflows.plan.fit import Cluster
    from umbel.workflows.plan.plan import make_plan
    from umbel.workflows.plan.units import parse_size

    try:
        size = parse_size(memory)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--memory") from None
    found = found_plugins()
    typed = load_recipe(recipe, overrides, found).typed
    made = make_plan(
        typed, found, Cluster(gpus, nodes, size, headroom), half_weights, named_peak(device) if device else None
    )
    click.echo(json.dumps(made.to_json(), indent=1) if as_json else plan_text(made))
    if made.stage is None:
        raise click.exceptions.Exit(1)


def plan_text(plan: Plan) -> str:
    """A plan as tables for people."""
    from umbel.io.text import size_text, text_table

    cluster = plan.cluster
    heads = ", ".join(f"{task} {count / 1e6:.1f} M" for task, count in plan.elements.items() if task)
    where = f"{cluster.gpus} x {size_text(cluster.memory)}" + (
        f" in {cluster.nodes} nodes" if cluster.nodes > 1 else ""
    )
    tasks = [
        (
            task.task, str(task.batch_size), f"{task.image_shape[0]}x{task.image_shape[1]}",
            size_text(task.peak(task.batch_size)), size_text(round(task.per_image)),
            "measured" if task.loss_measured else "assumed",
        )
        for task in plan.activations
    ]  # fmt: skip
    stages = [
        (
            f"ZeRO {row.stage}", size_text(row.states.parameters), size_text(row.states.master),
            size_text(row.states.moments), size_text(row.states.gradients),
            size_text(row.states.average + row.states.buckets), size_text(row.activations), size_text(row.total),
            "refused" if row.refused else "yes" if row.fits else "no", size_text(row.traffic), size_text(row.network),
            " / ".join(str(count) for count in row.largest_batch.values()),
        )
        for row in plan.stages
    ]  # fmt: skip
    chosen = next((row for row in plan.stages if row.stage == plan.stage), None)
    if chosen is None:
        smallest = min((row for row in plan.stages if not row.refused), key=lambda row: row.total)
        verdict = (
            f"Nothing fits: ZeRO {smallest.stage} needs {size_text(smallest.total)} of {size_text(cluster.usable)}. "
            "Lower a batch or input size, or have the backbone recompute its activations."
        )
    else:
        verdict = (
            f"Use ZeRO {chosen.stage}: {size_text(chosen.total)} of {size_text(cluster.usable)}, "
            "and no stage that fits sends less."
        )
    refusals = [
        f"With the optimizer on the CPU, ZeRO {row.stage} is refused: it {row.refused}."
        for row in plan.stages
        if row.refused
    ]
    return "\n".join(
        [
            f"backbone {plan.elements[''] / 1e6:.1f} M trained parameters, {heads}; {where}; "
            f"{plan.images_per_step} images a step",
            "",
            text_table(("task", "batch", "size", "activations", "an image", "loss"), tasks),
            "",
            text_table(
                ("a rank", "weights", "master", "moments", "gradients", "others", "activations", "total", "fits",
                 "sends a step", "between nodes", "largest batch"),
                stages,
            ),
            f"largest batch: of {' / '.join(task.task for task in plan.activations)}, each by itself",
            "",
            verdict,
            *refusals,
            "",
            *work_lines(plan),
            "",
            "Assumptions: " + ";\n  ".join(plan.assumptions) + ".",
        ]
    )  # fmt: skip


def work_lines(plan: Plan) -> list[str]:
    """What a step computes on one device, and how long the named one takes for it."""
    from umbel.io.text import text_table

    def tera(*counts: int) -> tuple[str, ...]:
        return tuple(f"{count / 1e12:.3g}" for count in counts)

    parts = [
        (task.backbone_forward, task.backbone_backward, task.head_forward, task.head_backward, task.total)
        for task in plan.flops
    ]
    rows = [(task.task, *tera(*counts)) for task, counts in zip(plan.flops, parts, strict=True)]
    rows.append(("all", *tera(*(sum(column) for column in zip(*parts, strict=True)))))
    columns = ("TFLOP a step", "backbone forward", "backward", "head and loss forward", "backward", "total")
    lines = [text_table(columns, rows)]
    if time := plan.step_time:
        seconds = ", ".join(f"{value:.3g} s at {share} %" for share, value in time.seconds.items())
        lines.append(f"A step on {time.device} (peak {time.peak / 1e12:g} TFLOP/s in {time.precision}): {seconds}")
    return lines
