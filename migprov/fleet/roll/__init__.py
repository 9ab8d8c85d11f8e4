"""The roll: who is next, one batch after another, and the record of it."""
