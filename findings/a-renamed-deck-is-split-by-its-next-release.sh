#!/usr/bin/env bash
# A package has an id for its deck, which genanki asks to draw once and to keep, so that Anki can keep track of the deck.
# A reader who has put the deck below another one should therefore find the next release's cards there too.
#
# Seen with anki 26.9.3 and genanki 0.13.1: the id is dropped at the first import, and decks are found by their names. The
# next release makes a second deck of the old name: it gets the new cards, while the updated ones stay where they were.
# A package of another id and the same name goes to the first deck as if it were its own. Of a note type it is the id that
# counts, and the name that does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet anki==26.9.3 genanki==0.13.1
cd "$folder"
env/bin/python -W error - <<'PY'
import time

import genanki
from anki.collection import Collection, ImportAnkiPackageRequest

collection = Collection("reader.anki2")
now = time.time()


def release(number, *guids, deck=2059400110, model="Cards"):
    """Build a package, have the reader import it, and tell which notes are in which deck."""
    model = genanki.Model(
        1607392319, model, fields=[{"name": "Front"}], templates=[{"name": "Card", "qfmt": "{{Front}}", "afmt": "-"}]
    )
    deck = genanki.Deck(deck, "Cards")
    for guid in guids:
        deck.add_note(genanki.Note(model=model, guid=guid, fields=[f"{guid}, release {number}"]))
    genanki.Package(deck).write_to_file("cards.apkg", timestamp=now + number)
    options = collection._backend.get_import_anki_package_presets()
    collection.import_anki_package(ImportAnkiPackageRequest(package_path="cards.apkg", options=options))
    decks = {each.name: collection.find_notes(f'deck:"{each.name}"') for each in collection.decks.all_names_and_ids()}
    found = {name: sorted(collection.get_note(note).fields[0] for note in notes) for name, notes in decks.items()}
    found = {name: fields for name, fields in found.items() if fields}
    print(f"release {number}:", found)
    return found


assert release(1, "a") == {"Cards": ["a, release 1"]}
(deck,) = (each.id for each in collection.decks.all_names_and_ids() if each.name == "Cards")
print("the deck's id: ", deck, "instead of 2059400110")
assert deck != 2059400110
assert release(2, "a", "b", deck=1234567890) == {"Cards": ["a, release 2", "b, release 2"]}, "the name decides"

collection.decks.rename(deck, "Exam")
assert release(3, "a", "b", "c") == {"Exam": ["a, release 3", "b, release 3"], "Cards": ["c, release 3"]}

names = [model["name"] for model in collection.models.all()]
release(4, "d", model="Another name")
collection.models._clear_cache()
assert len(collection.models.all()) == len(names), "the note type is the same one, whatever it is called"
PY
