"""Numbers out of arrays.

Doors: curves files influence linkage metrics ranking scored scorer similarity.
"""
