"""The report: numbers, words, and the page in a real browser."""
