"""Every command and option, from click's own tree."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from migprov.cli import exits
from migprov.cli.main import group

from . import text


def page() -> str:
    parts = [text.fenced("text", _usage(click.Context(group, info_name="migprov"), group)), group.help or "", ""]
    for name, command in commands():
        context = click.Context(command, info_name=name)
        parts += [f"{'#' * (name.count(' ') + 1)} `{name}`\n", text.fenced("text", _usage(context, command))]
        parts += [_help(command), _parameters(command, context)]
    return text.page("The command `migprov`", *parts, "## Exit codes\n", exit_codes())


def commands() -> Iterator[tuple[str, click.Command]]:
    """Each below `migprov`, with its words; groups before what they hold."""
    yield from _below(group, "migprov")


def _below(parent: click.Group, words: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(parent, info_name=words)
    for name in parent.list_commands(context):
        command = parent.get_command(context, name)
        if command is None:
            continue
        yield f"{words} {name}", command
        if isinstance(command, click.Group):
            yield from _below(command, f"{words} {name}")


def _usage(context: click.Context, command: click.Command) -> str:
    return f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}"


def _help(command: click.Command) -> str:
    paragraphs = inspect.cleandoc(command.help or "").replace("\b\n", "").split("\n\n")
    return "\n\n".join(text.plain(each) for each in paragraphs) + "\n"


def _parameters(command: click.Command, context: click.Context) -> str:
    rows = []
    for option in command.get_params(context):
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record is not None and "--help" not in option.opts:
            rows.append((text.code(record[0]), text.plain(record[1])))
    return text.table(("option", "what"), rows) if rows else ""


def exit_codes() -> str:
    """The constants of `exits`, each with the text that stands below it."""
    source = inspect.getsource(exits)
    rows = []
    for name, value in vars(exits).items():
        if name.isupper() and isinstance(value, int):
            said = source.split(f"\n{name} = {value}\n", 1)[1].split('"""')[1]
            rows.append((text.code(value), said))
    return text.table(("code", "meaning"), rows)
