"""Who is hollow, and the layouts that use the fewest cards."""
