#!/usr/bin/env bash
# Material for MkDocs leaves out of its search what an element with data-search-exclude holds. One expects the whole
# element, whatever stands in it.
#
# Seen with mkdocs-material 9.8.1: it is left out up to the end of the first element inside that has the same name. An
# excluded <div> with a code block, which is a <div> too, has all that follows the code in the index. The elements that
# are skipped are kept by name: two of one name are one. An excluded <section> without sections in it is left out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet mkdocs==1.6.1 mkdocs-material==9.8.1
cd "$folder"
mkdir docs
printf 'site_name: searched\ntheme: material\nplugins: [search]\nmarkdown_extensions: [md_in_html, attr_list, pymdownx.superfences]\n' > mkdocs.yml
for element in div section; do
  printf '# Page of %s\n\nBefore.\n\n<%s data-search-exclude markdown>\n\nHidden above.\n\n```python\nhidden_code = 1\n```\n\nHidden below.\n\n</%s>\n\nAfter.\n' \
    "$element" "$element" "$element" > "docs/$element.md"
done
NO_MKDOCS_2_WARNING=1 env/bin/python -m mkdocs build --quiet
env/bin/python - <<'PY'
import json
from pathlib import Path

found = {page["location"]: page["text"] for page in json.loads(Path("site/search/search_index.json").read_text())["docs"]}
for page, text in found.items():
    print(f"{page} {text}")
assert "Before." in found["div/"] and "After." in found["div/"]
assert "Hidden above" not in found["div/"] and "hidden_code" not in found["div/"]
assert "Hidden below" in found["div/"], "what follows the code is left out as well"
assert "Hidden" not in found["section/"] and "hidden_code" not in found["section/"] and "After." in found["section/"]
PY
