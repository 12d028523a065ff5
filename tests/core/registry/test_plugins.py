"""Finding plugins, with distributions laid out as pip lays them out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from toys import BrightTask, ToyPlugin

from umbel import hookimpl
from umbel.contract.errors import PluginError
from umbel.registry.plugins import Plugin, Plugins

KINDS = """
from umbel import hookimpl

@hookimpl
def umbel_tasks():
    return {kinds}
"""


def tasks_module(kinds: object) -> str:
    return KINDS.format(kinds=repr(kinds))


def test_offer_knows_its_distribution_version_and_entry_point(distribute: Callable[..., Path]) -> None:
    distribute("umbel-toys", version="3.1")
    registration = Plugins.discover().find("task", "bright", "here")
    assert (registration.plugin.distribution, registration.plugin.version, registration.plugin.entry_point) == (
        "umbel-toys",
        "3.1",
        "main",
    )
    assert registration.load() is BrightTask


def test_collision_is_an_error_only_when_the_kind_is_used(distribute: Callable[..., Path]) -> None:
    distribute("umbel-one", {"one_module": tasks_module({"shared": "toys:BrightTask", "mine": "toys:BrightTask"})})
    distribute("umbel-two", {"two_module": tasks_module({"shared": "nowhere:Class"})})
    found = Plugins.discover()
    assert found.task_class("mine", "tasks.x.kind") is BrightTask
    with pytest.raises(PluginError) as caught:
        found.task_class("shared", "tasks.x.kind")
    text = str(caught.value)
    assert "umbel-one:main 1.0" in text
    assert "umbel-two:main 1.0" in text
    assert "umbel-one/shared" in text
    assert found.task_class("umbel-one/shared", "tasks.x.kind") is BrightTask
    assert found.task_class("Umbel_One/shared", "tasks.x.kind") is BrightTask  # names as PEP 503 compares them


def test_lazy_class_that_does_not_import_names_its_distribution(distribute: Callable[..., Path]) -> None:
    distribute("umbel-lazy", {"lazy_module": tasks_module({"a": "missing_module:A", "b": "toys:Nothing", "c": "toys"})})
    found = Plugins.discover()
    for kind in "abc":
        with pytest.raises(PluginError, match=r"plugin umbel-lazy:main 1\.0: task '[abc]' does not import"):
            found.task_class(kind, "")


@pytest.mark.parametrize("target", ["toys:TOY_RECIPE", "toys:ShareError", "os:getcwd"])
def test_what_is_no_task_class_names_its_distribution(distribute: Callable[..., Path], target: str) -> None:
    distribute("umbel-odd", {"odd_module": tasks_module({"odd": target})})
    with pytest.raises(PluginError, match=r"umbel-odd:main.*not a class with a dataclass Options"):
        Plugins.discover().task_class("odd", "")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
        (KINDS.format(kinds="1 / 0"), "umbel_tasks raised ZeroDivisionError"),
        (KINDS.format(kinds="['bright']"), "umbel_tasks returned list, not a mapping"),
        (KINDS.format(kinds="{}").replace("umbel_tasks", "umbel_taks"), "umbel_taks"),
        (KINDS.format(kinds="{}").replace("umbel_tasks()", "umbel_tasks(colour)"), "colour"),
    ],
)
def test_broken_plugin_is_named_and_the_others_load(distribute: Callable[..., Path], source: str, reason: str) -> None:
    distribute("umbel-broken", {"broken_module": source})
    distribute("umbel-good", {"good_module": tasks_module({"good": "toys:BrightTask"})})
    found = Plugins.discover()
    assert found.task_class("good", "") is BrightTask
    assert reason in found.found["umbel-broken:main"].error
    assert not found.found["umbel-good:main"].error
    with pytest.raises(PluginError, match="umbel-broken:main is broken"):
        found.find("task", "bad", "")


def test_hook_that_adds_commands_may_raise_without_harm(distribute: Callable[..., Path]) -> None:
    import click

    command = "from umbel import hookimpl\nimport click\n@hookimpl\ndef umbel_commands(cli):\n    {body}\n"
    distribute("umbel-a", {"a_commands": command.format(body="1 / 0")})
    distribute("umbel-b", {"b_commands": command.format(body="cli.add_command(click.Command('hello'))")})
    found, group = Plugins.discover(), click.Group()
    found.add_commands(group)
    assert "hello" in group.commands
    assert "umbel_commands raised ZeroDivisionError" in found.found["umbel-a:main"].error


def test_command_that_is_taken_is_not_added_and_reported(distribute: Callable[..., Path]) -> None:
    import click

    command = "from umbel import hookimpl\nimport click\n@hookimpl\ndef umbel_commands(cli):\n    {body}\n"
    distribute("umbel-a", {"a_taken": command.format(body="cli.add_command(click.Command('train', help='mine'))")})
    distribute("umbel-b", {"b_taken": command.format(body="cli.command('hello')(lambda: None)")})
    distribute("umbel-c", {"c_taken": command.format(body="cli.add_command(click.Command('hello'))")})
    found, group = Plugins.discover(), click.Group(commands=[click.Command("train", help="umbel's own")])
    owners = found.add_commands(group)
    assert group.commands["train"].help == "umbel's own"
    assert found.found["umbel-a:main"].error == "its command 'train' is taken by umbel itself; rename it"
    first, second = ("umbel-b:main", "umbel-c:main")[:: 1 if owners["hello"] == "umbel-b:main" else -1]
    assert found.found[second].error == f"its command 'hello' is taken by {first}; rename it"
    assert not found.found[first].error


def test_forgotten_mark_is_reported(distribute: Callable[..., Path]) -> None:
    source = tasks_module({"kept": "toys:BrightTask"}) + "\ndef umbel_backbones():\n    return {}\n"
    distribute("umbel-forgot", {"forgot_module": source, "umbel_forgot_helpers": ""})
    found = Plugins.discover()
    assert found.found["umbel-forgot:main"].error == "umbel_backbones() lacks @hookimpl, so umbel does not call it"
    assert found.task_class("kept", "") is BrightTask  # the rest of it works
    assert found.hooks_of(found.found["umbel-forgot:main"]) == ["umbel_tasks"]


def test_entry_points_of_one_name_in_two_distributions_both_count(distribute: Callable[..., Path]) -> None:
    distribute("umbel-one", {"first_module": tasks_module({"one": "toys:BrightTask"})}, "same = first_module")
    distribute("umbel-two", {"second_module": tasks_module({"two": "toys:BrightTask"})}, "same = second_module")
    registered = {o.name: o.plugin.id for o in Plugins.discover().registered("task")}
    assert registered["one"] == "umbel-one:same"
    assert registered["two"] == "umbel-two:same"


def test_entry_point_declared_twice_by_one_distribution_is_reported(distribute: Callable[..., Path]) -> None:
    modules = {"first_module": tasks_module({"one": "toys:BrightTask"}), "second_module": tasks_module({"two": "x:Y"})}
    distribute("umbel-twice", modules, "same = first_module\nsame = second_module")
    assert "twice; second_module was not loaded" in Plugins.discover().found["umbel-twice:same"].error


def marking_module(marker: Path, kind: str) -> str:
    return f"open({str(marker)!r}, 'w').close()\n" + tasks_module({kind: "toys:BrightTask"})


@pytest.mark.parametrize(
    ("variable", "value", "blocked"),
    [
        ("UMBEL_DISABLE", "umbel-bad", True),
        ("UMBEL_DISABLE", "Umbel_Bad", True),
        ("UMBEL_DISABLE", "main-bad", True),
        ("UMBEL_DISABLE", "umbel-bad:main-bad", True),
        ("UMBEL_DISABLE", "umbel-worse", False),
        ("UMBEL_DISABLE", "", False),
        ("UMBEL_PLUGINS", "umbel-good", True),
        ("UMBEL_PLUGINS", "umbel-good, umbel-bad", False),
        ("UMBEL_PLUGINS", "umbel_bad", False),
    ],
)
def test_blocked_plugin_is_not_imported(
    distribute: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    value: str,
    blocked: bool,
) -> None:
    marker = tmp_path / "imported"
    distribute("umbel-bad", {"bad_module": marking_module(marker, "bad")}, "main-bad = bad_module")
    distribute("umbel-good", {"good_module": tasks_module({"good": "toys:BrightTask"})})
    monkeypatch.setenv(variable, value)
    found = Plugins.discover()
    assert marker.exists() is not blocked
    assert ("umbel-bad:main-bad" in found.blocked) is blocked
    if blocked:
        with pytest.raises(PluginError, match="blocked: umbel-bad:main-bad"):
            found.find("task", "bad", "")


def test_empty_allow_list_leaves_umbels_own(distribute: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    distribute("umbel-other", {"other_module": tasks_module({"other": "toys:BrightTask"})})
    monkeypatch.setenv("UMBEL_PLUGINS", "")
    owners = {registration.plugin.distribution for registration in Plugins.discover().registered("task")}
    assert owners == {"umbel"}


def test_other_api_versions_are_reported_and_not_loaded(distribute: Callable[..., Path], tmp_path: Path) -> None:
    marker = tmp_path / "imported"
    distribute("umbel-future", {"future_module": marking_module(marker, "later")}, group="umbel.v2")
    distribute("umbel-visions", {"visions_module": marking_module(marker, "no")}, group="umbel.visions")
    found = Plugins.discover()
    assert found.foreign == {"umbel-future": {"umbel.v2"}}
    assert not marker.exists()
    with pytest.raises(PluginError, match=r"umbel-future is made for umbel\.v2"):
        found.find("task", "later", "")


def test_damaged_distribution_does_not_take_umbel_with_it(distribute: Callable[..., Path]) -> None:
    site = distribute("umbel-good", {"good_module": tasks_module({"good": "toys:BrightTask"})})
    (site / "broken-1.dist-info").mkdir()
    (site / "cut-1.dist-info").mkdir()
    (site / "cut-1.dist-info" / "METADATA").write_text("Name: cut\n")
    (site / "cut-1.dist-info" / "entry_points.txt").write_bytes(b"[umbel.v1]\nmain\n\xff\xfe = \n")
    assert Plugins.discover().task_class("good", "") is BrightTask


def test_unknown_kind_suggests_and_lists_where_from(new_plugins: Callable[[], Plugins]) -> None:
    with pytest.raises(PluginError) as caught:
        new_plugins().find("task", "brigth", "toy.yaml: tasks.x.kind")
    assert str(caught.value) == (
        "toy.yaml: tasks.x.kind: unknown task 'brigth' (did you mean 'bright'? installed: bright (toy-tasks))"
    )


def test_registration_that_fails_leaves_nothing_behind() -> None:
    class Misspelt:
        @hookimpl
        def umbel_taskz(self) -> dict[str, type]:
            return {}

    plugins = Plugins()
    with pytest.raises(PluginError, match="umbel_taskz"):
        plugins.register(Misspelt(), Plugin("bad", "1", "bad"))
    plugins.register(ToyPlugin(), Plugin("toy", "1", "toy"))
    assert [registration.name for registration in plugins.registered("task")] == ["bright"]
