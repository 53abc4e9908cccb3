"""Numbers out of arrays.

Doors: curves files influence metrics ranking scored scorer.
"""
