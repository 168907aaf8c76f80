"""What does it cost to have markdown-exec render the text that a block printed, as the short form does not?

For each fence that it shows, markdown-exec makes a Markdown parser with all extensions of the site. This renders the
same code and the same lines of text in both forms, in turns, and counts the fences of the site's pages of which plain
text is shown. Prints Markdown.

    python bench/fences.py
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from markdown import Markdown
from mkdocs.config import load_config
from mkdocs.structure.files import get_files
from mkdocs.utils.meta import get_data

from handbook import rendering
from handbook.fences import Fence
from handbook.pages import find, finder, place_of

ROOT = Path(__file__).parent.parent
CODE, PRINTED = "for n in range(3):\n    print(n, n * n)", "0 0\n1 1\n2 4\n"
FORMS = {
    "short: `exec`": {"exec": "exec"},
    'full: `exec="1" source="above" result="text"`': {"exec": "1", "source": "above", "result": "text"},
}
ROUNDS = 100


def main() -> None:
    """Measure, and print a table."""
    config = load_config(str(ROOT / "mkdocs.yml"))
    md = Markdown(extensions=config.markdown_extensions, extension_configs=config.mdx_configs)
    md.preprocessors["fenced_code_block"].get_hl_settings()
    snippets = config.mdx_configs["pymdownx.snippets"] | {"auto_append": []}
    rendering.configure(list(config.markdown_extensions), config.mdx_configs | {"pymdownx.snippets": snippets})
    seconds: dict[str, list[float]] = {form: [] for form in FORMS}
    for _ in range(ROUNDS):
        for form, options in FORMS.items():
            fence = replace(Fence.parse(options), code=CODE)
            start = time.perf_counter()
            rendering.render(fence, PRINTED, md)
            seconds[form].append(time.perf_counter() - start)
    found, fences = finder(config.mdx_configs), []
    for file in get_files(config).documentation_pages():
        body = get_data(file.content_string)[0]
        fences += find(found, body, place_of(file, body)).fences
    text = sum(fence.shows_output and fence.output in ("auto", "text") for fence in fences)
    print(f"{ROUNDS} rounds; {text} of the {len(fences)} executed fences of the site show plain text.\n")
    print("| form | ms a fence, median | seconds for all of these |\n| --- | ---: | ---: |")
    for form, taken in seconds.items():
        print(f"| {form} | {median(taken) * 1000:.1f} | {median(taken) * text:.2f} |")


if __name__ == "__main__":
    main()
