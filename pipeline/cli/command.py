"""What all commands do: name options whole in their help, and refuse one that is given twice."""

import shutil
from copy import copy
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption

_LEAST_BOXED = 100
"""Columns; on fewer, the boxes of help would cut the names of options."""


class Command(TyperCommand):
    """Its help is in boxes where they fit, else plain. It refuses an option of one value that is
    given several times, of which the parser would keep the last one in silence.
    """

    def format_help(self, ctx: Any, formatter: Any) -> None:
        if shutil.get_terminal_size().columns < _LEAST_BOXED:
            self.rich_markup_mode = None
        super().format_help(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        collecting = copy(self)
        collecting.params = [_collected(param) for param in self.params]
        given, _, _ = collecting.make_parser(ctx).parse_args(args=list(args))
        for param in self.params:
            if isinstance(param, TyperOption) and not param.multiple:
                _check_given_once(ctx, param, given.get(param.name) or [])
        return super().parse_args(ctx, args)


def use_command_class(app: typer.Typer) -> None:
    """Make every command of an application, and of those in it, a `Command`."""
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            use_command_class(group.typer_instance)


def _collected(param: Any) -> Any:
    """The parameter; of an option one that collects all the values it is given."""
    if not isinstance(param, TyperOption):
        return param
    option = copy(param)
    option.multiple = True
    return option


def _check_given_once(ctx: Any, option: TyperOption, values: list[Any]) -> None:
    """Fails where a value is given twice; a flag may be repeated, but not taken back."""
    if option.is_flag and len({*values}) > 1:
        ctx.fail(f"{option.opts[0]} and {option.secondary_opts[0]}: keep one of them")
    if not option.is_flag and len(values) > 1:
        told = " and ".join(map(str, values))
        ctx.fail(f"{option.opts[0]} takes one value and is given {len(values)}: {told}: keep one")
