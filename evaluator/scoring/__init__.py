"""Numbers out of arrays.

Doors: curves few_shot files influence likelihood linkage metrics ranking scored scorer similarity.
"""
