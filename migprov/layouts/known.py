"""Names that the product table knows, for hints. A name it does not know may belong to a newer card."""

from __future__ import annotations

from functools import lru_cache

from migprov.mig import geometry


@lru_cache(maxsize=1)
def profile_names() -> tuple[str, ...]:
    """Every GPU instance profile name of every product, aliases included, each once."""
    profiles = (profile for product in geometry.products() for profile in product.card.profiles)
    return tuple(dict.fromkeys(name for profile in profiles for name in (profile.name, *profile.aliases)))
