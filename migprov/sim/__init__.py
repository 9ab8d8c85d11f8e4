"""A simulated NVIDIA driver, and fleets of simulated nodes behind real SSH servers.

Nothing of the product imports this package but the `migprov sim` commands and the tests.
"""
