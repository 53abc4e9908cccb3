"""From sequences with labels to a trained model: data, folds, heads, and every combination of them compared.

Doors: `data` fetches and reads, `train` makes one model, `test` scores a dataset with it, `matrix` does both for every
backbone with every head; `heads.HEADS` are the classifiers, `synthetic` makes data to try things out with, and
`composition_logreg` trains the reference model that is plain numbers.
"""
