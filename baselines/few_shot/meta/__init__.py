"""Meta-training: made-up landscapes and panels to learn learning from, the loop, its settings, and a comparison.

Doors: `configuration` composes what is trained (`schema` says what can be), `training` trains it, `report` compares
methods on held-out landscapes; `landscapes` and `panels` make the tasks.
"""
