"""Makes the reference of the site from the public names and their docstrings; no page of it is written by hand."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import typer.main
from mkdocs.structure.files import File

import refonte_frames as rf
from refonte_frames.cli.running import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

#: Page, title, and the rooms whose functions stand on it.
ROOMS = (
    ("submit", "Submit", ("upload",)),
    ("change", "Change tasks", ("resources",)),
    ("export", "Read and export", ("export",)),
    ("client", "Client and sandbox", ("client", "sandbox")),
)


def pages() -> dict[str, str]:
    """Map the path of each page to its text: one for each room of functions, each namespace, and the command line."""
    made = {f"reference/{page}.md": _room(title, rooms) for page, title, rooms in ROOMS}
    made |= {f"reference/{name}.md": _namespace(name) for name in rf.__all__ if inspect.ismodule(getattr(rf, name))}
    left = {name for name in rf.__all__ if not any(f"::: refonte_frames.{name}\n" in text for text in made.values())}
    made["reference/command-line.md"] = _command_line()
    left -= set(rf.errors.__all__) | {name for name in rf.__all__ if inspect.ismodule(getattr(rf, name))}
    if left:
        made["reference/more.md"] = "# More\n\n" + "\n".join(_entry(name) for name in sorted(left))
    return made


def on_config(config: MkDocsConfig) -> None:
    """List the pages in the navigation, under the titles that they give themselves."""
    listed = [{text.split("\n")[0].removeprefix("# "): path} for path, text in pages().items()]
    config.nav = [*(config.nav or []), {"Reference": listed}]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to those that lie in the folder."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def _room(title: str, rooms: tuple[str, ...]) -> str:
    names = [name for name in rf.__all__ if _room_of(getattr(rf, name)) in rooms]
    return f"# {title}\n\n" + "\n".join(_entry(name) for name in names)


def _room_of(value: Any) -> str:
    if inspect.ismodule(value) or getattr(value, "__module__", "").endswith(".errors"):
        return ""
    return str(value.__module__).split(".")[1]


def _entry(name: str) -> str:
    return f"::: refonte_frames.{name}\n    options:\n      heading: rf.{name}\n      toc_label: {name}\n"


def _command_line() -> str:
    """Show the help of every command as a terminal of 80 columns does."""
    texts = [f"## {name}\n\n```text\n{text}\n```\n" for name, text in _helps(typer.main.get_command(app), None)]
    return (
        "# Command line\n\nThe extra `[sandbox]` is needed for `demo` and `sandbox`, others as they say.\n\n"
        + "\n".join(texts)
    )


def _helps(command: Any, parent: Any) -> Iterator[tuple[str, str]]:
    name = "refonte-frames" if parent is None else command.name
    context = command.make_context(name, [], parent=parent, resilient_parsing=True, terminal_width=80)
    yield context.command_path, command.get_help(context)
    for each in command.list_commands(context) if hasattr(command, "list_commands") else ():
        yield from _helps(command.get_command(context, each), context)


def _namespace(name: str) -> str:
    module = getattr(rf, name)
    members = "".join(f"\n        - {each}" for each in module.__all__)
    lines = ["show_root_heading: false", "show_root_toc_entry: false", f"members:{members}"]
    return f"# rf.{name}\n\n::: {module.__name__}\n    options:\n" + "".join(f"      {line}\n" for line in lines)
