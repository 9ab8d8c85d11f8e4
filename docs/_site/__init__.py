"""The site: `python -m docs._site`. The pages of docs/ as they are, and a reference made from the code."""
