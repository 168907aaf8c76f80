"""The events of a MkDocs build. What they do is done elsewhere."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click
import jinja2
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.livereload import LiveReloadServer
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

from handbook import labs, programs
from handbook.finding import prepare
from handbook.foot import foot
from handbook.pages import finder
from handbook.serve.live import Live
from handbook.serve.reuse import Reuse
from handbook.site import site
from handbook.study import export, filled, offline, questions, scripts
from handbook.study.changes import changes

log = logging.getLogger("mkdocs.hooks.handbook")

reuse: Reuse | None = None
live: Live | None = None


def on_startup(command: str, dirty: bool) -> None:
    """Under `mkdocs serve`: show what fails in its page, keep what stays from build to build, and wait little."""
    global reuse, live
    serves = command == "serve"
    site.show_errors = serves
    site.released = not serves
    reuse = Reuse() if serves else None
    # Without live reload nobody would ever see what a page that was served early has become.
    context = click.get_current_context(silent=True)
    live = Live() if serves and (context is None or context.params.get("livereload")) else None


@event_priority(100)  # before other plugins ask for a template
def on_config(config: MkDocsConfig) -> None:
    """Prepare a build, the first one or one after a change."""
    if config.strict:
        # With -q MkDocs neither shows warnings nor counts them, and a strict build of a broken site would pass.
        mkdocs = logging.getLogger("mkdocs")
        mkdocs.setLevel(min(mkdocs.level, logging.WARNING))
    if reuse:
        reuse.join(config)
    if site.released:
        scripts.put_into_pages(config)
    site.root = Path(config.config_file_path).parent
    site.entries.clear()
    site.tasks.clear()
    site.questions.clear()
    if live:
        live.begin(config, site.engine)
    else:
        site.engine.begin()
    # Tables, admonitions and the rest work in what a block prints as they do in a page. Only the glossary is not added:
    # to read it again for each block would take longer than all else.
    snippets = config.mdx_configs.get("pymdownx.snippets", {}) | {"auto_append": []}
    site.inner = list(config.markdown_extensions), config.mdx_configs | {"pymdownx.snippets": snippets}


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Start to run the pages, and add the programs that can be downloaded from them."""
    md = finder(config.mdx_configs)
    for file in files.documentation_pages():
        if site.engine.needs_preparing(file.content_string):
            prepare(md, file)
        for name, content in programs.downloads(site.root, file.src_uri, config.edit_uri_template):
            files.append(File.generated(config, name, content=content))
    if site.released:
        scripts.put_into_modules(config, files)
    if live:
        live.note(files)


def on_nav(nav: Navigation, **_: Any) -> None:
    """Note in which order the pages ask."""
    site.order = [page.file.src_uri for page in nav.pages]


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have a notebook become Markdown."""
    return labs.markdown(page, config, files) if labs.is_lab(page.file.src_uri) else markdown


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """Show the outputs of a notebook, collect what the page asks, and end it with how its figures were made."""
    path = page.file.src_uri
    html = questions.mark(labs.fill(html, path))
    source = questions.source_of(page)
    site.questions[path] = list(questions.cards(html, source)), list(questions.problems(html, source))
    return html + foot(page, site.entries[path], site.root) if path in site.entries else html


def on_env(env: jinja2.Environment, files: Files, **_: Any) -> None:
    """Fill the pages that show what all pages ask, now that each has been rendered."""
    for file in files.documentation_pages():
        if file.page and file.src_uri in filled.PARTS:
            filled.fill(file.page, site.cards, site.problems)


def on_build_error(**_: Any) -> None:
    """Let what is known be built another time."""
    if live:
        live.end()


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """Write the files that hold all questions and what browsers are to keep of a release, and say what was run."""
    folder = Path(config.site_dir)
    if "cards.md" in site.order:
        changed = changes(site.root, committed=site.released)
        try:
            export.write(folder, site.cards, site.problems, config.site_url or "http://localhost/", changed)
        except ValueError as error:
            if site.released:
                raise PluginError(str(error)) from None
            log.warning(error)
    if site.released:
        offline.write(folder)
    site.engine.finish()
    if live:
        live.end()
    counts = site.engine.counts
    log.info(f"Blocks: {counts.ran} run, {counts.replayed} replayed")
    for seconds, block in sorted(counts.seconds, reverse=True)[:5]:
        log.info(f"{seconds:6.1f} s  {block}")


@event_priority(100)  # before other plugins have it watch more
def on_serve(server: LiveReloadServer, config: MkDocsConfig, **_: Any) -> None:
    """Let the pages run, now that the first of them can be read."""
    if live:
        live.serve(server, config)


def on_shutdown() -> None:
    """End the threads that wait for pages."""
    site.engine.close()
