"""Printing what tasks say about their data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from umbel.io.say import say

if TYPE_CHECKING:
    from umbel.config.schema import Recipe
    from umbel.contract.dataset_report import Statistic
    from umbel.registry.plugins import Plugins


def echo_statistics(recipe: Recipe, found: Plugins) -> None:
    """The tables of every task's training data, and the findings of both splits; a divided data set is one."""
    from umbel.config.build import build_tasks
    from umbel.contract.defaults import statistics_of

    findings = []
    for name, task in build_tasks(recipe, found).items():
        for split in ("train",) if task.config.holdout else ("train", "val"):
            called = "train and val" if task.config.holdout else split
            for table in statistics_of(task, split):
                if split == "train":
                    _echo_table(f"{name}, {called}", table)
                findings += [f"note: {name}, {called}: {finding}" for finding in table.findings]
    if findings:
        say("", *findings)


def _echo_table(what: str, table: Statistic) -> None:
    from umbel.io.text import text_table

    cells = [[f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row] for row in table.rows]
    say("", f"{what}: {table.title}")
    click.echo(text_table(table.columns, cells))
