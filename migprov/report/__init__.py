"""What a plan, or a change that was made, brings: as one HTML page, as text, as JSON."""
