"""From a sequence to a vector: frozen protein language models, read without running anything that comes with them.

Doors: `embedder.Embedder` embeds, `checkpoint.BACKBONES` names the models, `tokens.clean` says what a sequence is.
`packed` is the fast engine, `stock` its judge, `cache` keeps vectors on disk. Images take this folder along as it is.
"""
