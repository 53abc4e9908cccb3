"""Numbers out of arrays.

Doors: curves files influence likelihood linkage metrics ranking scored scorer similarity.
"""
