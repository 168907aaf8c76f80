#!/usr/bin/env bash
# A deck's author mends two cards that readers keep failing, and builds the package anew. A reader who imports it should
# get both corrections, and keep what the reader's own Anki has noted about the cards.
#
# Seen with anki 26.9.3 and genanki 0.13.1: the leech is left as it was, and counted as a duplicate. To tag a note `leech`
# is to change it, so the note is newer than every package that was built before the eighth lapse, whenever that is
# imported, and "If newer", the default, passes it over: the cards that are failed most are the ones that are not mended.
# A package that was built later does mend it, and takes the tag away, with `marked` and each other tag of the reader's,
# also where not one word of the note has changed. The card stays suspended: a search for tag:leech no longer finds it.
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

MODEL = genanki.Model(
    1607392319, "Cards", fields=[{"name": "Front"}, {"name": "Back"}],
    templates=[{"name": "Card", "qfmt": "{{Front}}", "afmt": "{{Back}}"}],
)
collection = Collection("reader.anki2")


def release(built, **cards):
    """Build a package at some time, and have the reader import it by the options that Anki offers."""
    deck = genanki.Deck(2059400110, "Cards")
    for guid, back in cards.items():
        deck.add_note(genanki.Note(model=MODEL, guid=guid, fields=[f"What is {guid}?", back], tags=["topic"]))
    genanki.Package(deck).write_to_file("cards.apkg", timestamp=built)
    options = collection._backend.get_import_anki_package_presets()
    log = collection.import_anki_package(ImportAnkiPackageRequest(package_path="cards.apkg", options=options)).log
    return {kind: len(getattr(log, kind)) for kind in ("new", "updated", "duplicate")}


def note(guid):
    (found,) = collection.find_notes(f"Front:*{guid}*")
    return collection.get_note(found)


now = time.time()
print("first release:  ", release(now - 200, hard="wrong", easy="wrong"))
collection.decks.select(collection.decks.id("Cards"))
(hard,) = note("hard").card_ids()
collection.sched.suspend_cards(note("easy").card_ids())
for _ in range(8):  # eight lapses
    collection.sched.set_due_date([hard], "0")
    card = collection.sched.getCard()
    card.start_timer()
    collection.sched.answerCard(card, 1)
collection.sched.unsuspend_cards(note("easy").card_ids())
tagged = note("hard")
print("the leech:      ", tagged.tags)
assert tagged.tags == ["leech", "topic"]
tagged.add_tag("before-the-exam")
collection.update_note(tagged)

print("built before:   ", release(now - 100, hard="right", easy="right"), note("hard")["Back"], note("easy")["Back"])
assert (note("hard")["Back"], note("easy")["Back"]) == ("wrong", "right"), "the leech alone is not mended"

print("built after:    ", release(now + 100, hard="right", easy="right"), note("hard")["Back"], note("hard").tags)
assert note("hard")["Back"] == "right" and note("hard").tags == ["topic"], "mended, and no longer tagged"
assert collection.get_card(hard).lapses == 8 and not collection.find_notes("tag:leech")
PY
