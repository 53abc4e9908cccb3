"""Reference models: what every entry is compared with, and the code that a contributor starts from.

Three rooms, each standing on those before it: `backbones` (sequence to vector), `predicting` (vector to score) and
`training`. Above them `cli` is `apb-zoo`, `package` builds the images in `images/`, `speed` measures the backbones.
"""
