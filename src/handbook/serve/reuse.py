"""What a rebuild under `mkdocs serve` takes over from the one before, so that a saved file is in the browser at once.

After each save MkDocs builds the whole site. It still does, but four things that it asks for are answered from memory,
if all that they are made of is what it was, compared by value:

- what rendering gives a page (HTML, table of contents, title, anchors, links): its text with all that it includes, what
  its blocks gave, for which the engine vouches, and the addresses of all files;
- the file of a page: its HTML and table of contents, and of the whole site the navigation, titles and front matter;
- the entries of a page in the search index: its HTML, table of contents, title and front matter;
- the theme's templates, compiled, and the list of its files.

A change of the configuration, of a template of ours or of the date forgets everything. A page that failed, or that
was warned of, is rendered each time. Files are copied, links are checked and all events take place as in any build.
Two things are not noticed: an edit in an installed package, which needs a new start, and what a template shows of the
content of pages other than its own, which none of ours or Material's does.
"""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page
from mkdocs.theme import Theme
from mkdocs.utils import CountHandler, get_build_date

from handbook.pages import find, finder, included, place_of
from handbook.site import site

# What rendering sets in a page, apart from its links; and what a template is given that is not of one page alone.
RENDERED = ("content", "toc", "_title_from_render", "present_anchor_ids")
COMPARED_ONCE = ("nav", "pages", "config", "page", "build_date_utc")


class Memory:
    """Values by name, each with what it alone is made of; and what all of them are made of."""

    def __init__(self) -> None:
        self._common: Any = None
        self._values: dict[str, tuple[Any, Any]] = {}

    def begin(self, common: Any) -> None:
        """Forget everything, unless what all values are made of is as it was."""
        if common != self._common:
            self._common = common
            self._values.clear()

    def get(self, name: str, source: Any) -> Any:
        """The value of this name, or `None` if there is none that is made of this."""
        made_of, value = self._values.get(name, (None, None))
        return value if made_of == source else None

    def set(self, name: str, source: Any, value: Any) -> None:
        """Keep a value instead of the last one of this name."""
        self._values[name] = source, value


class Template(jinja2.Template):
    """A template that remembers the files it made."""

    files: Memory

    def render(self, context: Any) -> str:
        """Return the file of a page, or the one file of a template that is for none."""
        page = context["page"]
        name, own = (page.file.src_uri, (page.content, _outline(page))) if page else (f"template {self.name}", ())
        source = self.name, own, {key: value for key, value in context.items() if key not in COMPARED_ONCE}
        file = self.files.get(name, source)
        if file is None:
            file = super().render(context)
            self.files.set(name, source, file)
        return str(file)


class Reuse:
    """What one `mkdocs serve` remembers; a plugin of all of its builds."""

    def __init__(self) -> None:
        self._environments, self._pages, self._files, self._entries = Memory(), Memory(), Memory(), Memory()
        self._warnings = CountHandler(level=logging.WARNING)
        logging.getLogger("mkdocs").addHandler(self._warnings)

    def join(self, config: MkDocsConfig) -> None:
        """Take part in a build, from before other plugins ask for a template."""
        templates = Path(config.theme.custom_dir or "absent").rglob("*")
        stamps = sorted((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in templates)
        self._common = config.user_configs, get_build_date(), stamps
        self._entries.begin(self._common)
        self._finder = finder(config.mdx_configs)
        config.theme.get_env = partial(self._environment, config.theme)  # type: ignore[method-assign]
        config.plugins["handbook.serve"] = self  # type: ignore[assignment]

    def _environment(self, theme: Theme) -> jinja2.Environment:
        kept = self._environments.get("", (self._common, theme.dirs))
        if not kept:
            kept = Theme.get_env(theme)
            kept.template_class = type("Template", (Template,), {"files": self._files})
            kept.list_templates = _asked_once(kept.list_templates)  # type: ignore[method-assign]
            self._environments.set("", (self._common, list(theme.dirs)), kept)
        return kept  # type: ignore[no-any-return]

    def on_nav(self, nav: Navigation, files: Files, **_: Any) -> None:
        """See whether all files have the addresses that they had."""
        self._nav = nav
        self._pages.begin((self._common, [(file.src_uri, file.url, file.inclusion) for file in files]))

    def on_page_markdown(self, markdown: str, page: Page, **_: Any) -> None:
        """Have the page rendered here, if MkDocs itself would render it."""
        if "render" not in vars(page):
            page.render = partial(self._render, page)  # type: ignore[method-assign]

    def _render(self, page: Page, config: MkDocsConfig, files: Files) -> None:
        path, text = page.file.src_uri, str(page.markdown)
        place = place_of(page.file, text)
        source = included(self._finder, text, place), place
        kept = self._pages.get(path, source)
        if kept:
            job, shown, fences, links, values = kept
            if job.blocks:
                site.ask(path, job)
            if _shown(path) == shown:
                vars(page).update(values)
                page.links_to_anchors = {files.src_uris[uri]: anchors for uri, anchors in links.items()}
                if job.blocks:
                    site.fences[path] = fences
                return
        self._warnings.counts.clear()
        Page.render(page, config, files)
        if path in site.tasks and path not in site.entries:
            page.present_anchor_ids = None  # what is yet to come may have anchors: links to them are no mistake
        shown = _shown(path)
        if shown is not None and not self._warnings.counts:
            job = find(self._finder, text, place).job
            links = {file.src_uri: anchors for file, anchors in (page.links_to_anchors or {}).items()}
            values = {name: getattr(page, name) for name in RENDERED}
            self._pages.set(path, source, (job, shown, site.fences.get(path), links, values))

    def on_env(self, env: jinja2.Environment, config: MkDocsConfig, files: Files) -> None:
        """See whether the navigation and all titles are what they were, now that every page is rendered."""
        pages = [(file.src_uri, file.page.title, file.page.meta) for file in files if file.page]
        self._files.begin((self._common, config.extra, str(self._nav), pages))
        index = getattr(config.plugins.get("material/search"), "search_index", None)
        if index:
            index.add_entry_from_context = partial(self._add_entries, index, index.add_entry_from_context)

    def _add_entries(self, index: Any, add: Any, page: Page) -> None:
        source = page.content, _outline(page), page.title, page.meta
        start, entries = len(index.entries), self._entries.get(page.url, source)
        if entries is None:
            add(page)
            self._entries.set(page.url, source, index.entries[start:])
        else:
            index.entries.extend(entries)


def _asked_once(find: Any) -> Any:
    """The theme's ten thousand files stay what they are. MkDocs asks for some of them in each build."""
    answers: dict[Any, Any] = {}

    def answer(extensions: Any = None, filter_func: Any = None) -> Any:
        asked = extensions, getattr(filter_func, "__code__", None)
        if asked not in answers:
            answers[asked] = find(extensions, filter_func)
        return answers[asked]

    return answer


def _outline(page: Page) -> str:
    return json.dumps(list(page.toc), default=vars)


def _shown(path: str) -> Any:
    """All that a page shows of what its blocks gave so far, or `None` if one failed."""
    if path not in site.tasks:
        return ()
    if path not in site.entries:
        task, known = site.tasks[path]
        return task.outputs[:known]
    outcome = site.entries[path].outcome
    return None if outcome.failed >= 0 or outcome.wrong_formulas else (outcome.outputs, outcome.formulas)
