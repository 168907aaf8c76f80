"""py-fsrs, the reference of FSRS in Python, with which the site's schedules are compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf

from fsrs import Card, Rating, Scheduler, State

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Reference:
    """A card of py-fsrs, with the names of schedule.js."""

    scheduler = Scheduler(enable_fuzzing=False)

    def __init__(self) -> None:
        self.card = Card(card_id=1)
        self.least = inf

    def review(self, at: int, grade: int) -> None:
        """Grade it, at a time in milliseconds since 1970, from 1 to 4."""
        time = EPOCH + timedelta(milliseconds=at)
        self.card, _ = self.scheduler.review_card(self.card, Rating(grade), time)
        self.least = min(self.least, self.memory[0])

    @property
    def due(self) -> int:
        return round((self.card.due - EPOCH) / timedelta(milliseconds=1))

    @property
    def course(self) -> tuple[int, str, int]:
        return self.due, State(self.card.state).name.lower(), self.card.step or 0

    @property
    def memory(self) -> tuple[float, float]:
        assert self.card.stability and self.card.difficulty
        return self.card.stability, self.card.difficulty
