"""The register of the ids of study cards: readers' reviews belong to an id, so none is lost or used twice.

A line for each id that was ever given: the page it is on, or `retired: ` and why.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from handbook.study.texts import HEADER, CardText, all_cards

REGISTER = Path("tests", "card_ids.txt")
"""Where it is, from the root of the repository."""

RETIRED = "retired: "


def read(root: Path) -> dict[str, str]:
    """The page, or `retired: ` and the reason, of each id that was ever given.

    Args:
        root: The root of the repository.
    """
    path = root / REGISTER
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return {id: page for id, _, page in (line.partition(" ") for line in lines)}


def lost(cards: list[CardText], register: dict[str, str]) -> list[str]:
    """What is wrong with the ids of cards: one is on two of them, not registered, retired and used again, or gone.

    Args:
        cards: The cards of all pages.
        register: The register, as it was read.
    """
    wrong: list[str] = []
    on: dict[str, CardText] = {}
    for card in [card for card in cards if card.id]:
        place = f"{card.page}:{card.line}: {card.id}"
        if card.id in on:
            wrong.append(f"{place} is on another card too ({on[card.id].page}:{on[card.id].line}): remove it from one")
        elif register.get(card.id, "").startswith(RETIRED):
            wrong.append(f"{place} was retired, and readers' reviews of another card belong to it: remove it here")
        elif register.get(card.id) != card.page:
            wrong.append(f"{place} is not in {REGISTER} as on this page: `make cards` writes it")
        on[card.id] = card
    return wrong + [
        f"{page}: {id} has gone, and readers' reviews with it. A reworded card keeps its id; "
        f"if the card is no more, write `{id} {RETIRED}why` in {REGISTER}"
        for id, page in register.items()
        if id not in on and not page.startswith(RETIRED)
    ]


def renew(root: Path) -> int:
    """Give an id to each card that has none, and write those of all cards into the register.

    Args:
        root: The root of the repository.

    Returns:
        How many cards got one.
    """
    register, cards = read(root), all_cards(root)
    taken = {*register, *(card.id for card in cards)}
    nameless = [card for card in cards if not card.id]
    for card in nameless:
        while (id := f"card-{secrets.token_hex(3)}") in taken:
            pass
        taken.add(id)
        path = root / "docs" / card.page
        lines = path.read_text("utf-8").splitlines(keepends=True)
        lines[card.line - 1] = HEADER.sub(rf"\g<start>\g<words> {id}\g<title>", lines[card.line - 1])
        path.write_text("".join(lines), "utf-8")
    now = {card.id: card.page for card in all_cards(root)}
    register |= {id: page for id, page in now.items() if not register.get(id, "").startswith(RETIRED)}
    entries = sorted(f"{id} {page}\n" for id, page in register.items())
    (root / REGISTER).write_text("".join(entries), "utf-8")
    return len(nameless)
