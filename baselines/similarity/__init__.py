"""Retrieval over models: which of many small networks was trained for the same task, told from weights or behaviour.

Doors: `configuration` composes an experiment (`schema` says what can be), `experiment` runs it, and `report` writes
it down.
"""
