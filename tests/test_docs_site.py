"""The documentation site: it builds with no warning and nothing fetched, and tells nothing of where it was built."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from types import ModuleType

import pytest

import sweep
from sweep.cli import app

ROOT = Path(__file__).parents[1]
pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
pytest.importorskip("material", reason="the extra `docs` is not installed")


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    from tools import docs_site

    return docs_site


@pytest.fixture(scope="module")
def pages(maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "pages"
    maker.lay_out(folder)
    return folder


@pytest.fixture(scope="module")
def site(maker: ModuleType, pages: Path) -> Path:
    patch = pytest.MonkeyPatch()
    with patch.context() as without:
        without.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("it fetches something"))
        maker.build(pages, pages.with_name("site"))  # a warning, such as a link that leads nowhere, raises
    return pages.with_name("site")


def test_each_command_has_a_page_with_its_options(pages: Path) -> None:
    import typer

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert {"run", "plan", "compare", "export"} <= set(commands)
    for name, command in commands.items():
        below = getattr(command, "commands", {}) or {"": command}
        for inner, each in below.items():
            path = pages / "commands" / f"{name}{'-' if inner else ''}{inner}.md"
            if each.hidden:
                assert not path.exists()
                continue
            text = path.read_text(encoding="utf-8")
            options = [part.opts[0] for part in each.params if part.opts[0].startswith("-") and not part.hidden]
            assert [option for option in options if f"`{option}`" not in text] == [], path


def test_examples_are_a_line_each_and_code_is_shown_as_it_is(pages: Path) -> None:
    text = (pages / "commands" / "compare.md").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert lines.count("sweep compare sweeps/main sweeps/change --fail-on 'slower > 5%'") == 1
    assert "Example:" not in text
    assert "`sweep compare DIR_A DIR_B`" in text


@pytest.mark.slow
def test_each_function_is_in_the_reference_with_its_docstring(site: Path) -> None:
    text = (site / "python.html").read_text(encoding="utf-8")
    for name in ("run", "plan", "compare", "export", "best", "open_results"):
        assert name in sweep.__all__
        assert re.search(rf'id="sweep\.[\w.]+\.{name}"', text), name
    assert "Run what is missing of a study" in text


@pytest.mark.slow
def test_nothing_of_it_is_elsewhere_and_nothing_of_this_machine_is_in_it(site: Path) -> None:
    written = [path for path in site.rglob("*") if path.suffix in (".html", ".json", ".xml", ".yaml", ".py")]
    assert len(written) > 100
    for path in written:
        text = path.read_text(encoding="utf-8")
        for word in (str(ROOT), str(site), str(Path.home()) + "/", "--index-url", "--extra-index-url"):
            assert word not in text, (path, word)
        if path.suffix == ".html":
            loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="?(https?:[^"> ]+)', text)
            loaded += re.findall(r'<link[^>]* rel="?(?:stylesheet|preconnect)"?[^>]* href="?(https?:[^"> ]+)', text)
            assert loaded == [], path


def test_a_link_that_leads_nowhere_stops_it(maker: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mkdocs.exceptions import Abort

    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "README.md").write_text("# One\n\n[two](two.md) [one](#one)\n")
    (tmp_path / "mkdocs.yml").write_text(
        (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("nav:\n  - ")[0]
        + "nav: [README.md, {More: more/}]\n"
    )
    monkeypatch.setattr(maker, "ROOT", tmp_path)
    (pages / "more").mkdir()
    (pages / "more" / "README.md").write_text("# More\n")
    with pytest.raises(Abort):
        maker.build(pages, tmp_path / "site")
    (pages / "two.md").write_text("# Two\n\n[there](README.md#nowhere)\n")
    with pytest.raises(Abort):
        maker.build(pages, tmp_path / "site")
    (pages / "two.md").write_text("# Two\n\n[there](README.md#one)\n")
    maker.build(pages, tmp_path / "site")


def test_the_commands_of_the_how_tos_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import typer

    from sweep.cli import main
    from tests.networks import write_tiny

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "howto").glob("*.md")}
    lines = {name: re.findall(r"^ +(sweep .+)$", text, re.MULTILINE) for name, text in pages.items()}
    assert {name: len(found) > 1 for name, found in lines.items()} == dict.fromkeys(pages, True)
    for line in (line for found in lines.values() for line in found):
        known = {option for part in commands[line.split()[1]].params for option in part.opts}
        assert set(re.findall(r" (--[a-z-]+)", line)) <= known, line

    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path / "net.onnx")
    for line in lines["tune-my-network"]:
        if line.split()[1] in ("init", "plan"):
            assert main(line.split()[1:]) == 0, (line, capfd.readouterr().err)
