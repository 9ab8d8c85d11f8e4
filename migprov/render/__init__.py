"""What other systems read about the GPUs, made from their state. Pure: data in, text out."""

from __future__ import annotations
