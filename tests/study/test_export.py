"""`deck.json`, and where both files are written."""

import json
from pathlib import Path
from urllib.parse import urljoin

from handbook.study import export
from handbook.study.answers import answer
from handbook.study.questions import Card, Problem, Source

SOURCE = Source("decoding/beams.md", "decoding/beams/", "Beams & greed", "Decoding")
HOME = Source("index.md", "", "Home", "Home")
CARD = Card(
    "card-00000a", "explain", "Why <em>2¹⁰</em>?", '<p><a href="../sizes/#kib">Why</a> <img src="x.png"></p>', SOURCE
)
ANSWER = answer((14.0, {7.0: "One byte each: that is <int8>."}, "Bytes “first”.", "Then GB."), unit='"GB"', within=2)
PROBLEM = Problem(
    "decoding/beams-1", '<p>How many? See <a href="#b">b</a></p>', ANSWER, "<details>14</details>", SOURCE, "do"
)


def test_deck_json_holds_what_its_description_says():
    deck = json.loads(export.deck_json([CARD], [PROBLEM], "https://example.org/book/"))
    place = {"topic": "Decoding", "page": "decoding/beams.md", "title": "Beams & greed"}
    assert deck == {
        "format": "weights-and-measures deck",
        "version": 1,
        "source": "https://example.org/book/",
        "license": "MIT",
        "authors": "The Weights & Measures authors",
        "cards": [
            {"id": "card-00000a", "kind": "explain", **place, "url": "../decoding/beams/#card-00000a"}
            | {"question": "Why <em>2¹⁰</em>?"}
            | {"answer": '<p><a href="../decoding/sizes/#kib">Why</a> <img src="../decoding/beams/x.png"></p>'}
        ],
        "problems": [
            {"id": "decoding/beams-1", **place, "url": "../decoding/beams/#do"}
            | {
                "question": '<p>How many? See <a href="../decoding/beams/#b">b</a></p>',
                "worked": "<details>14</details>",
            }
            | {
                "answer": {
                    "value": 14.0,
                    "unit": '"GB"',
                    "within": 2.0,
                    "mistakes": [{"value": 7.0, "why": "One byte each: that is <int8>."}],
                    "hints": ["Bytes “first”.", "Then GB."],
                }
            }
        ],
    }
    described = export.__doc__ or ""
    for names in (deck, deck["cards"][0], deck["problems"][0], deck["problems"][0]["answer"]):
        assert all(f"`{name}`" in described for name in names), "each field is described"


def test_the_address_of_a_card_is_that_of_its_page():
    cards = [Card("card-00000a", "explain", "", "", source) for source in (SOURCE, HOME)]
    found = json.loads(export.deck_json(cards, [], "/"))["cards"]
    assert [urljoin("https://example.org/book/cards/deck.json", card["url"]) for card in found] == [
        "https://example.org/book/decoding/beams/#card-00000a",
        "https://example.org/book/#card-00000a",
    ]


def test_both_files_stand_beside_the_deck(tmp_path: Path):
    plain = Card("card-00000a", "explain", "Why?", "So.", SOURCE)
    for _ in range(2):
        export.write(tmp_path, [plain], [PROBLEM], "https://example.org/book/", lambda _: 1_790_000_000)
    found = {path.name: path.stat().st_size for path in (tmp_path / "cards").iterdir()}
    assert found.keys() == {"deck.json", "weights-and-measures.apkg"}
    assert (tmp_path / "cards/deck.json").read_text("utf-8").endswith("}\n")
