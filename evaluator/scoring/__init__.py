"""Numbers out of arrays.

Doors: curves few_shot files influence likelihood metrics ranking scored scorer similarity.
"""
