"""The click command line: the studio by default, and the verbs, each imported when used."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem, ShellComplete

from torchdeck.engine.errors import ConfigError, did_you_mean

from .process.importing import no_garbage_sought
from .verbs.completing import configs
from .verbs.options import graphics_option, runs_root_option, set_option
from .verbs.table import VERBS, names_a_verb

if TYPE_CHECKING:
    from .graphics.support import Wish


class _Verbs(click.Group):
    """A group whose commands are imported when used, and whose default command is the studio."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        verb = VERBS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f".verbs.{verb.module}", __package__), verb.command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.help) for name, verb in VERBS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
        """Verbs, and what opens the studio; behind words that are no verb, what the studio takes."""
        words: list[str] = ctx.meta.get("studio_arguments", [])
        of_studio = ShellComplete(studio, {}, "torchdeck", "").get_completions(words, incomplete)
        if words:
            return of_studio
        own = (
            click.Command.shell_complete(self, ctx, incomplete)
            if incomplete.startswith("-")
            else [CompletionItem(name, help=verb.help) for name, verb in VERBS.items() if name.startswith(incomplete)]
        )
        known = {item.value for item in own}
        return [*own, *(item for item in of_studio if item.value not in known)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Without a verb, the words are the studio's run and options.
        if not {"--help", "-h"} & set(args) and not names_a_verb(args):
            ctx.meta["studio_arguments"] = args if "--version" not in args else []
            args = ["--version"] if "--version" in args else []
        return super().parse_args(ctx, args)


@click.group(
    cls=_Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Without a verb: torchdeck [PRESET|FILE.toml] opens the studio with that run loaded (default: digits). "
    "How to show pictures: --graphics auto, kitty, sixel, iterm or blocks; or TORCHDECK_GRAPHICS.",
)
@click.version_option(package_name="torchdeck", prog_name="torchdeck")
@click.pass_context
def torchdeck(context: click.Context) -> int | None:
    """A training studio for PyTorch in the terminal."""
    if context.invoked_subcommand is not None:
        return None
    arguments: list[str] = context.meta.get("studio_arguments", [])
    result: Any = studio.main(args=arguments, prog_name="torchdeck", standalone_mode=False, obj=context.obj)
    return int(result or 0)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("words", metavar="[PRESET|FILE.toml]", nargs=-1, shell_complete=configs)
@set_option
@runs_root_option
@graphics_option
@click.pass_obj
def studio(parent: Any, words: tuple[str, ...], overrides: tuple[str, ...], runs_root: Path, graphics: Wish) -> int:
    """Open the studio with a run loaded."""
    with no_garbage_sought():
        from torchdeck.engine.config.file import load_config
        from torchdeck.engine.config.presets import DEFAULT_PRESET

    spec = words[0] if words else DEFAULT_PRESET
    _check_spec(spec)
    if len(words) > 1:
        raise ConfigError(f"{' '.join(words)}: the studio opens one preset or file")
    config = load_config(spec, overrides)
    with no_garbage_sought():
        from .studio import open_studio

    return open_studio(config, spec, runs_root, parent, named=overrides, graphics=graphics)


def _check_spec(spec: str) -> None:
    """Raise ConfigError for a word that is neither a preset nor a file, naming the nearest verb or preset."""
    from torchdeck.engine.config.file import find_config
    from torchdeck.engine.config.presets import list_presets

    try:
        find_config(spec)
    except ConfigError as error:
        if "/" in spec or spec.endswith(".toml"):
            raise
        known = [*VERBS, *(preset.name for preset in list_presets())]
        raise ConfigError(f"{spec}: no such verb, preset or file{did_you_mean(spec, known)}") from error
