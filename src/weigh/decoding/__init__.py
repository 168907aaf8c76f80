"""How the next token is chosen: filters and penalties, their order, and the loops that generate."""
