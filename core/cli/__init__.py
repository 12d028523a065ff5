"""The command line: one light module a command; heavy imports happen when the command runs.

Exit codes: 0 ok, 1 findings or failed training, 2 usage or recipe, 3 unreadable input, 69 another rank was lost,
70 a defect, 75 stopped by a signal after a checkpoint: resume it, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys

import click

from umbel.cli.commands import COMMANDS, Commands, LazyCommand
from umbel.contract.errors import LOST_RANK_CODE, DataError, ElsewhereError, InterruptedRunError, UmbelError
from umbel.io.output import installed, stdout_lost
from umbel.io.shortage import explain
from umbel.io.text import printable
from umbel.version import __version__


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="umbel")
def cli() -> None:
    """Train one shared vision backbone on many tasks at once.

    Add --debug to any command to see the traceback of an error.
    """


def build_cli() -> click.Group:
    """The command group with umbel's own commands and those of plugins."""
    from umbel.registry.plugins import Plugins

    cli.commands.clear()  # of an earlier call, made with other plugins
    for name, line in COMMANDS.items():
        cli.add_command(LazyCommand(name, line))
    cli.context_settings["obj"] = plugins = Plugins.discover()
    plugins.add_commands(cli)
    return cli


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the console script and of `python -m umbel`."""
    with installed(for_ever=arguments is None):
        _main(without_local_rank(sys.argv[1:] if arguments is None else arguments))


def _main(given: list[str]) -> None:
    debug = "--debug" in given
    level = logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    try:
        code = build_cli().main(
            [argument for argument in given if argument != "--debug"], prog_name="umbel", standalone_mode=False
        )
        if several_processes():  # a group that is torn down at interpreter exit may abort the process
            from umbel.runtime.rank_watch import leave_and_exit

            leave_and_exit(code if isinstance(code, int) else 0)
        if not code and (lost := stdout_lost()) is not None:
            raise DataError(f"cannot be written: {getattr(lost, 'strerror', None) or lost}", where="stdout")
        if isinstance(code, int):  # what a command's Exit asks for
            sys.exit(code)
    except click.ClickException as error:
        hint = override_hint(error.option_name, given) if isinstance(error, click.NoSuchOption) else ""
        if hint and isinstance(error, click.NoSuchOption):  # it is a key of the recipe, not "--help"
            click.NoSuchOption(error.option_name, ctx=error.ctx).show()
            click.echo(hint, err=True)
        else:
            error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt, Exception) as error:  # one line for the user, a traceback on request
        if debug:
            raise
        message, code = _explain(error)
        rank = f"rank {os.environ.get('RANK', '0')}: " if several_processes() else ""
        if message and not isinstance(error, ElsewhereError):
            line = f"umbel: {rank}{getattr(error, 'label', 'error')}: {' '.join(message.split())}"
            click.echo(printable(line), err=True)
        if rank:
            from umbel.runtime.rank_watch import leave_and_exit

            agreed = isinstance(error, (ElsewhereError, InterruptedRunError))  # all ranks end so
            leave_and_exit(code, "" if agreed else message)
        sys.exit(code)


def override_hint(option: str, arguments: list[str]) -> str:
    """What to write in place of an option that is a key of the recipe: "--steps 5" is "train.steps=5"."""
    from umbel.config.keys import suggest

    key = suggest(option)
    if not key:
        return ""
    after = dict(zip(arguments, [*arguments[1:], ""], strict=True))
    value = next((text.partition("=")[2] for text in arguments if text.startswith(f"{option}=")), after.get(option, ""))
    shown = value if value and not value.startswith("-") else "VALUE"
    return f"Keys of the recipe are written without hyphens, behind RECIPE: {printable(f'{key}={shown}')}"


def without_local_rank(arguments: list[str]) -> list[str]:
    """The arguments without `--local_rank=N`, which launchers put before the command; they set LOCAL_RANK as well."""
    return [argument for argument in arguments if not argument.startswith(("--local_rank=", "--local-rank="))]


def several_processes() -> bool:
    """Whether a launcher started this process as one of several."""
    return os.environ.get("WORLD_SIZE", "1") not in ("", "1")


def _of_the_lost_rank(error: BaseException) -> str:
    """What is known of the rank that made a connection fail; "" where another rank says it."""
    from umbel.runtime.rank_watch import active_watch

    watch = active_watch()
    if watch is None or watch.first_cause() is None:
        return f"ended because another rank has ended or does not answer ({str(error).splitlines()[0]})"
    return watch.line() if watch.speaks() else ""


def _explain(error: BaseException) -> tuple[str, int]:
    """The line and the exit code of an error."""
    if isinstance(error, UmbelError):
        return str(error), error.exit_code
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return "interrupted", 130
    if shortage := explain(error):
        return str(shortage), shortage.exit_code
    if isinstance(error, OSError) and error.filename and error.strerror:  # what no reader or writer foresaw
        return f"{str(error.filename)[:200]}: {error.strerror}", DataError.exit_code
    if several_processes():
        from umbel.contract.errors import is_peer_failure

        if is_peer_failure(error):
            return _of_the_lost_rank(error), LOST_RANK_CODE
    lines = str(error).strip().splitlines() or [""]
    text = lines[-1] if "Traceback" in str(error) else " ".join(lines)  # a loader worker's comes with its traceback
    return f"{type(error).__name__}: {text} (a defect in umbel or a plugin; add --debug for the traceback)", 70
