"""The pure domain of MIG: profiles, placements, plans. No I/O, standard library only, Python 3.8."""
