"""From a sequence to a score: what a head sees, how a trained model is stored, the program that an image starts.

Doors: `features.Features` makes what a head sees, `store` reads and writes trained models, `predict` scores a CSV by
the container contract, `composition` has the plain descriptors. Images take this folder along as it is.
"""
