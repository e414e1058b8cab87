"""Builds the documentation site: `make site`, or python tools/docs_site.py [--out FOLDER]. Nothing is fetched.

The pages are the Markdown of the repository at the places where they lie, so that their links hold here and where the
repository is read. Files that they link to come along. A page for each command is made from the command line itself,
and the Python reference from docstrings. Every link is checked, and a warning is an error.
"""

from __future__ import annotations

import argparse
import html
import importlib
import inspect
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TOP = ("README.md", "DESIGN.md", "CONTRIBUTING.md", "CHANGELOG.md")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def lay_out(pages: Path) -> None:
    """All pages and what they link to, in a folder of their own."""
    shutil.rmtree(pages, ignore_errors=True)
    for source in (*(ROOT / name for name in TOP), *sorted((ROOT / "docs").rglob("*.md"))):
        target = pages / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_with_files(source, pages), encoding="utf-8")
    for name, text in {**command_pages(), "python.md": python_page()}.items():
        (pages / name).parent.mkdir(parents=True, exist_ok=True)
        (pages / name).write_text(text, encoding="utf-8")


def _with_files(page: Path, pages: Path) -> str:
    """The text of a page; a linked file is copied, and a link to a folder is its words alone."""

    def seen(link: re.Match[str]) -> str:
        target = link[3].partition("#")[0]
        if not target or "://" in target or target.startswith("mailto:"):
            return link[0]
        path = Path(os.path.normpath(page.parent / target))
        if path.is_dir():
            return link[2]
        if path.is_file() and path.suffix != ".md":
            copy = pages / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        return link[0]

    text = page.read_text(encoding="utf-8")
    parts, last = [], 0
    for block in _FENCED.finditer(text):
        parts += [_LINK.sub(seen, text[last : block.start()]), block[0]]
        last = block.end()
    return "".join([*parts, _LINK.sub(seen, text[last:])])


# -- commands ---------------------------------------------------------------------------------------------------------


def command_pages() -> dict[str, str]:
    """A page for each command that `sweep --help` shows, and one that lists them."""
    found = dict(_commands())
    lines = [f"| [{name}]({_file(name)}) | {_told(command)[0]} |" for name, command in found.items()]
    listed = "\n".join(["# Commands", "", "| command | |", "|---|---|", *lines, ""])
    codes = "\nExit codes: 0 done, 1 some cells failed, 2 bad input, 130 interrupted with everything kept.\n"
    pages = {f"commands/{_file(name)}": _command_page(name, command) for name, command in found.items()}
    return {"commands/index.md": listed + codes, **pages}


def _commands() -> Iterator[tuple[str, Any]]:
    import typer

    from sweep.cli import app

    def below(group: Any, path: str) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            if command.hidden:
                continue
            if hasattr(command, "commands"):
                yield from below(command, f"{path} {name}")
            else:
                yield f"{path} {name}", command

    yield from below(typer.main.get_command(app), "sweep")


def _file(name: str) -> str:
    return name.removeprefix("sweep ").replace(" ", "-") + ".md"


def _told(command: Any) -> tuple[str, str, str]:
    """What a command says of itself: its first sentence, the rest, its examples, one a line."""
    text, *examples = inspect.cleandoc(command.help or "").split("Example:")
    first, _, rest = text.strip().partition("\n\n")
    lines = [" ".join(example.split()) for example in examples]
    return _plain(first), "\n\n".join(map(_plain, rest.split("\n\n"))), "\n".join(lines)


def _plain(text: str) -> str:
    """As Markdown that shows it; what stands between backticks is shown as it is already."""
    pieces = " ".join(text.split()).split("`")
    shown = [piece if index % 2 else _escaped(piece) for index, piece in enumerate(pieces)]
    return "`".join(shown)


def _escaped(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")


def _command_page(name: str, command: Any) -> str:

    first, rest, example = _told(command)
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join([name, *command.collect_usage_pieces(context)]).translate(str.maketrans("", "", "{}"))
    parts = [f"# {name}", first, rest, f"```text\n{usage}\n```"]
    parts += [f"```sh\n{example}\n```"] if example else []
    rows = {"Arguments": [], "Options": []}
    for each in command.params:
        if getattr(each, "hidden", False):
            continue
        is_option = each.opts[0].startswith("-")
        words = [*each.opts, *each.secondary_opts] if is_option else [each.metavar or each.name.upper()]
        default = each.default
        shown = "" if default is None or callable(default) or default in (False, [], ()) else f"`{default}`"
        shown = "required" if each.required else shown
        about = _plain(getattr(each, "help", None) or "")
        rows["Options" if is_option else "Arguments"].append(
            f"| {' '.join(f'`{word}`' for word in words)} | {shown} | {about} |"
        )
    for title, lines in rows.items():
        if lines:
            parts.append("\n".join([f"## {title}", "", "| | default | |", "|---|---|---|", *lines]))
    return "\n\n".join(part for part in parts if part) + "\n"


# -- Python -----------------------------------------------------------------------------------------------------------


def python_page() -> str:
    """Each public function and class of the package, by where it is written: mkdocstrings reads docstrings there."""
    import sweep

    about = inspect.cleandoc(importlib.import_module("sweep.api").__doc__ or "").partition("\n\n")[0]
    parts = ["# Python", _plain(about), "All of these are names of `sweep`: `import sweep`."]
    for name in sorted(sweep.__all__, key=str.lower):
        found = getattr(sweep, name)
        if inspect.isfunction(found) or inspect.isclass(found):
            parts.append(f"::: {inspect.unwrap(found).__module__}.{found.__name__}")
    return "\n\n".join(parts) + "\n"


def build(pages: Path, out: Path) -> None:
    """The site of a folder of pages. Raises mkdocs' Abort, which ends a program, after a warning."""
    from mkdocs.commands.build import build as build_site
    from mkdocs.config import load_config

    config = load_config(str(ROOT / "mkdocs.yml"), docs_dir=str(pages), site_dir=str(out), strict=True)
    config.nav = [_whole(entry, pages) for entry in config.nav or ()]
    config.plugins.on_startup(command="build", dirty=False)
    try:
        build_site(config)
    finally:
        config.plugins.on_shutdown()


def _whole(entry: Any, pages: Path) -> Any:
    """An entry of the navigation with the pages of a folder in the place of the folder."""
    if isinstance(entry, dict):
        return {title: _whole(below, pages) for title, below in entry.items()}
    if isinstance(entry, list):
        return [_whole(below, pages) for below in entry]
    if not entry.endswith("/"):
        return entry
    names = sorted(path.name for path in (pages / entry).glob("*.md"))
    first = [name for name in names if name in ("index.md", "README.md")]
    return [f"{entry}{name}" for name in (*first, *(name for name in names if name not in first))]


def main() -> int:
    """Build it where --out says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site")
    out = parser.parse_args().out.absolute()
    sys.path.insert(0, str(ROOT))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    lay_out(ROOT / "build" / "pages")
    build(ROOT / "build" / "pages", out)
    sys.stdout.write(f"{out / 'index.html'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
