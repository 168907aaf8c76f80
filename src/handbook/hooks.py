"""The one hook of mkdocs.yml."""

import sys

from markdown_exec import markdown_config
from mkdocs.config.defaults import MkDocsConfig


def on_config(config: MkDocsConfig) -> None:
    """Prepare a build, the first one or one after a change."""
    # Tables, admonitions and the rest work in what a block prints as they do in a page.
    markdown_config.save(list(config.markdown_extensions), config.mdx_configs)
    # `mkdocs serve` stays in one process: the pages are to import the library as it is now.
    for name in [name for name in sys.modules if name.partition(".")[0] == "weigh"]:
        del sys.modules[name]
