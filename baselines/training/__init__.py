"""From sequences with labels to a trained model: data, folds, heads, and every combination of them compared.

Doors: `data` fetches and reads, `train` trains one head on one set of features, `composition_logreg` trains the
reference model that is plain numbers, `synthetic` makes data to try things out with, `heads.HEADS` are the classifiers.
"""
