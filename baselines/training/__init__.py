"""From sequences with labels to a trained model: data, folds, heads, and every combination of them compared.

Doors: `configuration` composes what is trained (`schema` says what can be), `data` fetches and reads, `train` makes
one model, `test` scores a dataset with it, `sweep` does both for many by a launcher; `heads` are the classifiers,
`finetuning` trains a backbone's last layers, `report` compares. `synthetic` makes data to try things out with, and
`composition_logreg` trains the reference model that is plain numbers.
"""
