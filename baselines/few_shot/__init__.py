"""From a handful of measured antibodies to a score for each of the others: few-shot models, simple and in-context.

Doors: `episodes` reads the tasks of a run and writes their scores, `simple` has net charge, ridge and Gaussian process,
`sparse`, `reptile` and `metalic` the networks that are meta-trained, `store` reads and writes these, `predict` is what
an image starts. Images take these files along; `meta` beside them, which trains and compares, stays at home.
"""
